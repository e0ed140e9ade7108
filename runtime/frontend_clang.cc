/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/frontend_clang.h"

#include <clang/AST/ASTConsumer.h>
#include <clang/AST/ASTContext.h>
#include <clang/AST/Decl.h>
#include <clang/CodeGen/CodeGenAction.h>
#include <clang/Frontend/CompilerInstance.h>
#include <clang/Frontend/CompilerInvocation.h>
#include <clang/Frontend/MultiplexConsumer.h>
#include <clang/Lex/PreprocessorOptions.h>
#include <cstdlib>
#include <cstring>
#include <llvm/ADT/StringExtras.h>
#include <llvm/ADT/StringMap.h>
#include <llvm/CodeGen/MachineModuleInfo.h>
#include <llvm/CodeGen/Passes.h>
#include <llvm/CodeGen/TargetPassConfig.h>
#include <llvm/IR/DebugInfo.h>
#include <llvm/IR/DiagnosticInfo.h>
#include <llvm/IR/DiagnosticPrinter.h>
#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/CommandLine.h>
#include <llvm/Support/ErrorHandling.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/VirtualFileSystem.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/IPO/AlwaysInliner.h>
#include <llvm/Transforms/Utils/ModuleUtils.h>
#include <malloc.h>
#include <map>
#include <memory>
#include <vector>

#ifdef AMON_STATIC_CLANG
#include <llvm/Passes/PassPlugin.h>

/* Debian's clang wants Polly, whose archive is not in its packages: a plugin that adds nothing. */
llvm::PassPluginLibraryInfo getPollyPluginInfo()
{
	return { LLVM_PLUGIN_API_VERSION, "none", "0", [](llvm::PassBuilder &) {} };
}
#endif

namespace
{

constexpr char processor[] = "v3";

/*
 * What the driver makes of -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -nostdinc, without -disable-free, which leaks, and
 * without notes of which types may alias: programs come out the same, but for a word here and there.
 */
const char *const arguments[] = { "-triple",
	                          "bpf",
	                          "-emit-llvm-only",
	                          "-disable-llvm-passes",
	                          "-disable-llvm-verifier",
	                          "-discard-value-names",
	                          "-mrelocation-model",
	                          "static",
	                          "-mframe-pointer=all",
	                          "-fmath-errno",
	                          "-ffp-contract=on",
	                          "-fno-rounding-math",
	                          "-mconstructor-aliases",
	                          "-target-cpu",
	                          processor,
	                          "-relaxed-aliasing",
	                          "-debug-info-kind=constructor",
	                          "-fdebug-compilation-dir=",
	                          "-O2",
	                          "-Wall",
	                          "-Wextra",
	                          "-ferror-limit",
	                          "19",
	                          "-fno-caret-diagnostics",
	                          "-fgnuc-version=4.2.1",
	                          "-std=gnu17",
	                          "-x",
	                          "c" };

/* C of amon's stands alone; a user's includes what is installed for BPF. */
const char *const alone[] = { "-nostdsysteminc", "-nobuiltininc" };
const char *const including[] = { "-Wno-unused-parameter",     "-internal-isystem", AMON_CLANG_INCLUDE,
	                          "-internal-externc-isystem", AMON_ARCH_INCLUDE,   "-internal-externc-isystem",
	                          AMON_SYSTEM_INCLUDE };

/* A program that is larger is a mistake, such as an array of gigabytes with an initialiser. */
constexpr size_t object_limit = 64 << 20;

/* More than a probe's compilation takes: the rest goes back to the kernel. */
constexpr int kept_memory = 16 << 20;

/* Text is kept for lines below this only: `#line 2000000000` is as legal as it is useless. */
constexpr unsigned listed_lines = 100000;

/* Hands clang's and LLVM's messages over; positions are the ones that #line gives. */
class Reporter : public clang::DiagnosticConsumer
{
	amon_clang_job &job;

	static int severity(clang::DiagnosticsEngine::Level level)
	{
		switch (level) {
		case clang::DiagnosticsEngine::Fatal:
			return 3;
		case clang::DiagnosticsEngine::Error:
			return 2;
		case clang::DiagnosticsEngine::Warning:
			return 1;
		default:
			return 0;
		}
	}

	static int severity(llvm::DiagnosticSeverity level)
	{
		return level == llvm::DS_Error ? 2 : level == llvm::DS_Warning ? 1 : 0;
	}

	void report(const clang::PresumedLoc &place, int severity, llvm::StringRef text)
	{
		if (place.isValid())
			job.report(job.data, place.getFilename(), place.getLine(), place.getColumn(), severity,
			           text.str().c_str());
		else
			job.report(job.data, job.name, 0, 0, severity, text.str().c_str());
	}

	/* Of assembler, clang kept the place in a number. */
	static clang::PresumedLoc place_of(uint64_t cookie, const clang::SourceManager &sources)
	{
		return sources.getPresumedLoc(clang::SourceLocation::getFromRawEncoding(cookie));
	}

	void report(const llvm::DiagnosticInfoUnsupported &info)
	{
		llvm::DISubprogram *function = info.getFunction().getSubprogram();
		std::string text = info.getMessage().str();
		llvm::StringRef file = job.name;
		unsigned line = 0, column = 0;

		if (info.isLocationAvailable())
			info.getLocation(file, line, column);
		else if (function)
			file = function->getFilename(), line = function->getLine();
		job.report(job.data, file.str().c_str(), line, column, severity(info.getSeverity()), text.c_str());
	}

      public:
	explicit Reporter(amon_clang_job &job) : job(job)
	{
	}

	void HandleDiagnostic(clang::DiagnosticsEngine::Level level, const clang::Diagnostic &info) override
	{
		llvm::SmallString<256> text;
		clang::PresumedLoc place;

		DiagnosticConsumer::HandleDiagnostic(level, info);
		info.FormatDiagnostic(text);
		if (info.hasSourceManager() && info.getLocation().isValid())
			place = info.getSourceManager().getPresumedLoc(info.getLocation());
		report(place, severity(level), text);
	}

	void handle(const llvm::DiagnosticInfo &info, const clang::SourceManager &sources)
	{
		std::string text;
		llvm::raw_string_ostream stream(text);
		llvm::DiagnosticPrinterRawOStream printer(stream);

		NumErrors += info.getSeverity() == llvm::DS_Error;
		if (auto *unsupported = llvm::dyn_cast<llvm::DiagnosticInfoUnsupported>(&info))
			return report(*unsupported);
		if (auto *parsed = llvm::dyn_cast<llvm::DiagnosticInfoSrcMgr>(&info))
			return report(place_of(parsed->getLocCookie(), sources), severity(info.getSeverity()),
			              parsed->getSMDiag().getMessage());
		if (auto *assembler = llvm::dyn_cast<llvm::DiagnosticInfoInlineAsm>(&info))
			return report(place_of(assembler->getLocCookie(), sources), severity(info.getSeverity()),
			              assembler->getMsgStr().str());
		info.print(printer);
		report(clang::PresumedLoc(), severity(info.getSeverity()), text);
	}
};

/* The object, in memory. */
class ObjectStream : public llvm::raw_pwrite_stream
{
	llvm::SmallVectorImpl<char> &bytes;

	void write_impl(const char *data, size_t size) override
	{
		if (bytes.size() + size > object_limit)
			llvm::report_fatal_error("the program is larger than 64 MiB", false);
		bytes.append(data, data + size);
	}

	void pwrite_impl(const char *data, size_t size, uint64_t offset) override
	{
		memcpy(bytes.data() + offset, data, size);
	}

	uint64_t current_pos() const override
	{
		return bytes.size();
	}

      public:
	explicit ObjectStream(llvm::SmallVectorImpl<char> &bytes) : raw_pwrite_stream(true), bytes(bytes)
	{
	}
};

/* Tells where a user's file declares what it declares itself. */
class Places : public clang::ASTConsumer
{
	amon_clang_job &job;

	void tell(const clang::SourceManager &sources, const clang::Decl *declaration, const std::string &name)
	{
		clang::PresumedLoc place = sources.getPresumedLoc(declaration->getLocation());

		if (place.isValid() && sources.isInMainFile(declaration->getLocation()))
			job.place(job.data, name.c_str(), place.getLine(), place.getColumn());
	}

	void tell_members(const clang::SourceManager &sources, const clang::RecordDecl *record)
	{
		for (const clang::Decl *inside : record->decls()) {
			if (auto *member = llvm::dyn_cast<clang::FieldDecl>(inside))
				tell(sources, member, record->getNameAsString() + "." + member->getNameAsString());
			if (auto *nested = llvm::dyn_cast<clang::RecordDecl>(inside))
				tell_members(sources, nested);
		}
	}

      public:
	explicit Places(amon_clang_job &job) : job(job)
	{
	}

	void HandleTranslationUnit(clang::ASTContext &context) override
	{
		const clang::SourceManager &sources = context.getSourceManager();

		for (const clang::Decl *declaration : context.getTranslationUnitDecl()->decls()) {
			if (auto *record = llvm::dyn_cast<clang::RecordDecl>(declaration))
				tell_members(sources, record);
			if (llvm::isa<clang::VarDecl>(declaration) || llvm::isa<clang::FunctionDecl>(declaration))
				tell(sources, declaration,
				     llvm::cast<clang::NamedDecl>(declaration)->getNameAsString());
		}
	}
};

class Action : public clang::EmitLLVMOnlyAction
{
	amon_clang_job &job;

	std::unique_ptr<clang::ASTConsumer> CreateASTConsumer(clang::CompilerInstance &clang,
	                                                      llvm::StringRef file) override
	{
		std::vector<std::unique_ptr<clang::ASTConsumer>> consumers;

		consumers.push_back(EmitLLVMOnlyAction::CreateASTConsumer(clang, file));
		if (job.place)
			consumers.push_back(std::make_unique<Places>(job));
		return std::make_unique<clang::MultiplexConsumer>(std::move(consumers));
	}

      public:
	Action(amon_clang_job &job, llvm::LLVMContext &context) : EmitLLVMOnlyAction(&context), job(job)
	{
	}
};

/*
 * The text of each line for .BTF.ext, which the verifier quotes: the C's own, under the file and line that #line gives,
 * and that of files that were included. LLVM would look for the files on the disk instead, whatever #line names.
 */
class Listing
{
	llvm::StringMap<std::map<unsigned, llvm::StringRef>> files;
	llvm::StringMap<llvm::StringRef> included;

	/* #line NUMBER ["FILE"] */
	static bool directive(llvm::StringRef text, llvm::StringRef &file, unsigned &number)
	{
		text = text.ltrim();
		if (!text.consume_front("#") || !(text = text.ltrim()).consume_front("line"))
			return false;
		text = text.ltrim();
		if (text.consumeInteger(10, number))
			return false;
		if (text.contains('"'))
			file = text.split('"').second.rsplit('"').first;
		return true;
	}

      public:
	Listing(llvm::StringRef file, llvm::StringRef text)
	{
		unsigned number = 1;
		bool first = false;

		while (!text.empty()) {
			auto [line, rest] = text.split('\n');

			text = rest;
			if (directive(line, file, number)) {
				first = true;
				continue;
			}
			/* The line right below a directive is the one that was meant; what follows only fills gaps. */
			if (first && number < listed_lines)
				files[file][number] = line;
			else if (number < listed_lines)
				files[file].try_emplace(number, line);
			first = false;
			number++;
		}
	}

	void include(const clang::SourceManager &sources)
	{
		for (auto file = sources.fileinfo_begin(); file != sources.fileinfo_end(); ++file)
			if (auto buffer = file->second->getBufferIfLoaded())
				included[file->first.getName()] = buffer->getBuffer();
	}

	/* A text that has each listed line at its number. */
	std::string text(llvm::StringRef file) const
	{
		std::string result;
		unsigned at = 1;
		auto found = files.find(file);

		if (found == files.end())
			return included.lookup(file).str();
		for (auto &[number, line] : found->second) {
			result.append(number - at, '\n');
			result += line;
			at = number;
		}
		return result;
	}
};

/* Runs before LLVM's passes: what must not reach the code generator as it is. */
class Prepare
{
	const Listing &listing;

	/* Assembler directives can read files, and BPF's instructions have no full stop but in a local label. */
	static bool harmless(llvm::StringRef assembler)
	{
		for (size_t at = assembler.find('.'); at != assembler.npos; at = assembler.find('.', at + 1))
			if (at + 1 == assembler.size() ||
			    (assembler[at + 1] != 'L' && !llvm::isDigit(assembler[at + 1])))
				return false;
		return true;
	}

	static void refuse(llvm::CallBase &call)
	{
		auto *code = llvm::cast<llvm::InlineAsm>(call.getCalledOperand());

		call.getContext().emitError(&call, "assembler directives are not allowed");
		call.setCalledOperand(
		        llvm::InlineAsm::get(code->getFunctionType(), "", code->getConstraintString(), true));
	}

	static void check_assembler(llvm::Module &module)
	{
		if (!module.getModuleInlineAsm().empty()) {
			module.getContext().emitError("assembler outside functions is not allowed");
			module.setModuleInlineAsm("");
		}
		for (llvm::Function &function : module)
			for (llvm::Instruction &instruction : llvm::instructions(function))
				if (auto *call = llvm::dyn_cast<llvm::CallBase>(&instruction))
					if (call->isInlineAsm() &&
					    !harmless(llvm::cast<llvm::InlineAsm>(call->getCalledOperand())
					                      ->getAsmString()))
						refuse(*call);
	}

	/* The file of each scope with its text; files holds those that were made so far. */
	void attach(llvm::DIScope *scope, llvm::DenseMap<llvm::DIFile *, llvm::DIFile *> &files) const
	{
		llvm::DIFile *file = scope->getFile();

		if (!file || file->getSource())
			return;
		llvm::DIFile *&listed = files[file];
		if (!listed)
			listed = llvm::DIFile::get(scope->getContext(), file->getFilename(), file->getDirectory(),
			                           std::nullopt, listing.text(file->getFilename()));
		scope->replaceOperandWith(0, listed);
	}

	/*
	 * BTF is made of types, functions and lines, and names everything that the loader and the verifier want to
	 * know. Where variables live is for DWARF: without it the passes have a third less to do. And LLVM leaves DWARF
	 * itself out of modules that have another format and no version of it.
	 */
	static void forget_dwarf(llvm::Module &module)
	{
		module.addModuleFlag(llvm::Module::Warning, "CodeView", 1);
		for (llvm::Function &function : module)
			for (llvm::Instruction &instruction :
			     llvm::make_early_inc_range(llvm::instructions(function))) {
				instruction.dropDbgRecords();
				if (llvm::isa<llvm::DbgInfoIntrinsic>(instruction))
					instruction.eraseFromParent();
			}
	}

	/*
	 * A user's file is loaded as a part of amon's object, which has a license of its own: that of the file must let
	 * it, and goes.
	 */
	static void drop_license(llvm::Module &module)
	{
		static const llvm::StringRef compatible[] = {
			"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"
		};
		auto is_license = [](const llvm::Constant *constant) {
			auto *variable = llvm::dyn_cast<llvm::GlobalVariable>(constant);
			return variable && variable->getSection() == "license";
		};

		llvm::removeFromUsedLists(
		        module, [&](llvm::Constant *constant) { return is_license(constant->stripPointerCasts()); });
		for (llvm::GlobalVariable &variable : llvm::make_early_inc_range(module.globals())) {
			if (!is_license(&variable))
				continue;
			variable.removeDeadConstantUsers(); /* what the list of used ones was */
			if (!variable.use_empty())
				continue;
			auto *text = variable.hasInitializer()
			                     ? llvm::dyn_cast<llvm::ConstantDataArray>(variable.getInitializer())
			                     : nullptr;
			if (!text || !text->isCString() || !llvm::is_contained(compatible, text->getAsCString()))
				module.getContext().emitError("the license must be one that the kernel takes for the "
				                              "GPL's, for example `Dual BSD/GPL`, or not be there");
			variable.eraseFromParent();
		}
	}

	void attach_listing(llvm::Module &module) const
	{
		llvm::DenseMap<llvm::DIFile *, llvm::DIFile *> files;
		llvm::DebugInfoFinder finder;

		finder.processModule(module);
		for (llvm::DISubprogram *function : finder.subprograms())
			attach(function, files);
		for (llvm::DIScope *scope : finder.scopes())
			if (!llvm::isa<llvm::DIFile>(scope))
				attach(scope, files);
	}

      public:
	explicit Prepare(const Listing &listing) : listing(listing)
	{
	}

	void run(llvm::Module &module, bool of_user) const
	{
		check_assembler(module);
		if (of_user)
			drop_license(module);
		forget_dwarf(module);
		attach_listing(module);
	}
};

/*
 * What is worth its time for such C, in LLVM's words. Most of it is small functions that are inlined everywhere: they
 * are made smaller first. Jump threading is for the verifier, which follows fewer paths for it. No loop is unrolled.
 */
constexpr llvm::StringLiteral before_inlining =
        "globalopt,function(lower-expect,sroa<modify-cfg>,early-cse,simplifycfg)";
constexpr llvm::StringLiteral after_inlining = "function(sroa<modify-cfg>,early-cse<memssa>,jump-threading,simplifycfg,"
                                               "instcombine<no-verify-fixpoint>,early-cse<memssa>)";

/* What LLVM does behind that for where variables live, of which nothing is left, and for code that BPF does not have.
 */
const llvm::AnalysisID idle_passes[] = { &llvm::RemoveRedundantDebugValuesID, &llvm::LiveDebugValuesID,
	                                 &llvm::DeadMachineInstructionElimID, &llvm::PostRAMachineSinkingID };

/* From LLVM's IR to the object. Messages go to the context's handler. */
class Backend
{
	const llvm::OptimizationLevel level = llvm::OptimizationLevel::O2;
	llvm::Module &module;
	std::unique_ptr<llvm::LLVMTargetMachine> target;

	static void add(llvm::PassBuilder &builder, llvm::ModulePassManager &passes, llvm::StringRef text)
	{
		llvm::cantFail(builder.parsePassPipeline(passes, text));
	}

	/* What clang itself does; without vectors, which BPF has not. */
	static llvm::PipelineTuningOptions tuning()
	{
		llvm::PipelineTuningOptions options;

		options.LoopVectorization = options.SLPVectorization = false;
		return options;
	}

	/* Those that BPF adds for the verifier included. */
	llvm::ModulePassManager pipeline(llvm::PassBuilder &builder) const
	{
		llvm::ModulePassManager passes;
		llvm::FunctionPassManager late;

		builder.invokePipelineStartEPCallbacks(passes, level);
		add(builder, passes, before_inlining);
		builder.invokePipelineEarlySimplificationEPCallbacks(passes, level);
		passes.addPass(llvm::AlwaysInlinerPass(false));
		add(builder, passes, after_inlining);
		builder.invokePeepholeEPCallbacks(late, level);
		builder.invokeScalarOptimizerLateEPCallbacks(late, level);
		passes.addPass(llvm::createModuleToFunctionPassAdaptor(std::move(late)));
		return passes;
	}

      public:
	explicit Backend(llvm::Module &module) : module(module)
	{
		std::string error;
		const llvm::Target *bpf = llvm::TargetRegistry::lookupTarget(module.getTargetTriple(), error);

		target.reset(static_cast<llvm::LLVMTargetMachine *>(
		        bpf->createTargetMachine(module.getTargetTriple(), processor, "", {}, llvm::Reloc::Static)));
	}

	/* A user's C is compiled as clang does; it may want loops unrolled. */
	void optimize(bool of_user)
	{
		llvm::LoopAnalysisManager loops;
		llvm::FunctionAnalysisManager functions;
		llvm::CGSCCAnalysisManager calls;
		llvm::ModuleAnalysisManager modules;
		llvm::PassBuilder builder(target.get(), tuning());

		builder.registerModuleAnalyses(modules);
		builder.registerCGSCCAnalyses(calls);
		builder.registerFunctionAnalyses(functions);
		builder.registerLoopAnalyses(loops);
		builder.crossRegisterProxies(loops, functions, calls, modules);
		(of_user ? builder.buildPerModuleDefaultPipeline(level) : pipeline(builder)).run(module, modules);
	}

	/* As addPassesToEmitFile() does it, but for the idle passes. */
	void generate(llvm::raw_pwrite_stream &to)
	{
		llvm::legacy::PassManager passes;
		llvm::TargetPassConfig *config = target->createPassConfig(passes);
		auto *functions = new llvm::MachineModuleInfoWrapperPass(target.get());

		for (llvm::AnalysisID pass : idle_passes)
			config->disablePass(pass);
		config->setDisableVerify(true);
		passes.add(config);
		passes.add(functions);
		if (config->addISelPasses())
			llvm::report_fatal_error("LLVM has no code generator for BPF", false);
		config->addMachinePasses();
		config->setInitialized();
		if (target->addAsmPrinter(passes, to, nullptr, llvm::CodeGenFileType::ObjectFile,
		                          functions->getMMI().getContext()))
			llvm::report_fatal_error("LLVM cannot write BPF objects", false);
		passes.add(llvm::createFreeMachineFunctionPass());
		passes.run(module);
	}
};

/* All that a compilation holds. */
class Compilation
{
	amon_clang_job &job;
	Reporter reporter;
	llvm::StringRef text;
	llvm::IntrusiveRefCntPtr<llvm::vfs::InMemoryFileSystem> files; /* the one text */
	llvm::SmallVector<char, 0> object;
	llvm::LLVMContext context;
	Action action;
	clang::CompilerInstance clang;

	/* Beside a user's there are files on the disk; which of them it may read is the process's concern. */
	llvm::IntrusiveRefCntPtr<llvm::vfs::FileSystem> all_files() const
	{
		llvm::IntrusiveRefCntPtr<llvm::vfs::OverlayFileSystem> all;

		files->addFile(job.name, 0, llvm::MemoryBuffer::getMemBufferCopy(text, job.name));
		if (!job.entry)
			return files;
		all = new llvm::vfs::OverlayFileSystem(llvm::vfs::getRealFileSystem());
		all->pushOverlay(files);
		return all;
	}

	bool configure()
	{
		clang::CompilerInvocation &invocation = clang.getInvocation();
		std::vector<const char *> options(std::begin(arguments), std::end(arguments));

		if (job.entry)
			options.insert(options.end(), std::begin(including), std::end(including));
		else
			options.insert(options.end(), std::begin(alone), std::end(alone));
		options.push_back("-");
		clang.createDiagnostics(&reporter, false);
		if (!clang::CompilerInvocation::CreateFromArgs(invocation, options, clang.getDiagnostics()))
			return false;
		if (job.entry)
			invocation.getPreprocessorOpts().addMacroDef(std::string("amon_packet=") + job.entry);
		invocation.getFrontendOpts().Inputs = { { job.name, clang::Language::C } };
		invocation.getCodeGenOpts().MainFileName = job.name;
		clang.createDiagnostics(&reporter, false); /* again, with the options for warnings */
		clang.createFileManager(all_files());
		return true;
	}

	static void hear(const llvm::DiagnosticInfo *info, void *data)
	{
		auto *compilation = static_cast<Compilation *>(data);

		compilation->reporter.handle(*info, compilation->clang.getSourceManager());
	}

	void generate(llvm::Module &module)
	{
		ObjectStream stream(object);
		Backend backend(module);
		Listing listing(job.name, text);

		listing.include(clang.getSourceManager());
		Prepare(listing).run(module, job.entry);
		if (reporter.getNumErrors())
			return;
		backend.optimize(job.entry);
		backend.generate(stream);
	}

	void hand_over()
	{
		job.object = malloc(object.size());
		if (!job.object)
			llvm::report_fatal_error("out of memory", false);
		memcpy(job.object, object.data(), object.size());
		job.object_size = object.size();
	}

      public:
	explicit Compilation(amon_clang_job &job)
	    : job(job), reporter(job), text(job.text, job.length), files(new llvm::vfs::InMemoryFileSystem),
	      action(job, context)
	{
	}

	void run()
	{
		std::unique_ptr<llvm::Module> module;

		if (!configure() || !clang.ExecuteAction(action) || reporter.getNumErrors())
			return;
		module = action.takeModule();
		context.setDiagnosticHandlerCallBack(hear, this, true);
		generate(*module);
		if (!reporter.getNumErrors())
			hand_over();
	}
};

void no_memory(void *data, const char *, bool)
{
	auto *job = static_cast<amon_clang_job *>(data);

	job->report(job->data, job->name, 0, 0, 3, "the compiler took too much memory");
	abort();
}

void fatal(void *data, const char *reason, bool)
{
	auto *job = static_cast<amon_clang_job *>(data);

	job->report(job->data, job->name, 0, 0, 3, reason);
	abort();
}

/*
 * Blocks stay in the order of the source, so that every way back to the head of a loop is a jump. LLVM would lay some
 * out before their heads and let them fall through, which the verifier of 6.1 takes for a loop that it does not allow.
 */
void keep_order()
{
	const char *options[] = { "amon", "-disable-block-placement" };

	llvm::cl::ParseCommandLineOptions(2, options);
}

/* What one compilation frees, the next one takes: page by page from the kernel, it would pay for it once more. */
void keep_memory()
{
	mallopt(M_TRIM_THRESHOLD, kept_memory);
}

void initialize()
{
	keep_order();
	keep_memory();
	LLVMInitializeBPFTargetInfo();
	LLVMInitializeBPFTarget();
	LLVMInitializeBPFTargetMC();
	LLVMInitializeBPFAsmPrinter();
	LLVMInitializeBPFAsmParser();
}

} // namespace

extern "C" void amon_clang_recover()
{
	llvm::remove_fatal_error_handler();
}

extern "C" void amon_clang_compile(amon_clang_job *job)
{
	static const bool initialized = (initialize(), true);

	(void)initialized;
	llvm::install_fatal_error_handler(fatal, job);
	if (job->entry) /* in a process of its own, whose memory has a limit */
		llvm::install_bad_alloc_error_handler(no_memory, job);
	Compilation(*job).run();
	llvm::remove_fatal_error_handler();
}
