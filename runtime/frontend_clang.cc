/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/frontend_clang.h"

#include <clang/CodeGen/CodeGenAction.h>
#include <clang/Frontend/CompilerInstance.h>
#include <clang/Frontend/CompilerInvocation.h>
#include <cstdlib>
#include <cstring>
#include <llvm/ADT/StringExtras.h>
#include <llvm/ADT/StringMap.h>
#include <llvm/IR/DebugInfo.h>
#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/Module.h>
#include <llvm/ObjCopy/ConfigManager.h>
#include <llvm/ObjCopy/ObjCopy.h>
#include <llvm/Object/ELFObjectFile.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/ErrorHandling.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/VirtualFileSystem.h>
#include <map>
#include <memory>

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

/* What the driver makes of -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -nostdinc, without -disable-free, which leaks. */
const char *const arguments[] = { "-triple",
	                          "bpf",
	                          "-emit-obj",
	                          "-clear-ast-before-backend",
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
	                          "v3",
	                          "-debug-info-kind=constructor",
	                          "-dwarf-version=5",
	                          "-debugger-tuning=gdb",
	                          "-fdebug-compilation-dir=",
	                          "-nostdsysteminc",
	                          "-nobuiltininc",
	                          "-O2",
	                          "-Wall",
	                          "-Wextra",
	                          "-ferror-limit",
	                          "19",
	                          "-fno-caret-diagnostics",
	                          "-fgnuc-version=4.2.1",
	                          "-vectorize-loops",
	                          "-vectorize-slp",
	                          "-std=gnu17",
	                          "-x",
	                          "c",
	                          "-" };

/* A program that is larger is a mistake, such as an array of gigabytes with an initialiser. */
constexpr size_t object_limit = 64 << 20;

/* Text is kept for lines below this only: `#line 2000000000` is as legal as it is useless. */
constexpr unsigned listed_lines = 100000;

/* Hands clang's messages over; positions are the ones that #line gives. */
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
		if (place.isValid())
			job.report(job.data, place.getFilename(), place.getLine(), place.getColumn(), severity(level),
			           text.c_str());
		else
			job.report(job.data, job.name, 0, 0, severity(level), text.c_str());
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

/*
 * The text of each line for .BTF.ext, which the verifier quotes: the C's own, under the file and line that #line gives.
 * LLVM would look for the files on the disk instead.
 */
class Listing
{
	llvm::StringMap<std::map<unsigned, llvm::StringRef>> files;

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

	/* A text that has each listed line at its number. */
	std::string text(llvm::StringRef file) const
	{
		std::string result;
		unsigned at = 1;
		auto found = files.find(file);

		if (found == files.end())
			return result;
		for (auto &[number, line] : found->second) {
			result.append(number - at, '\n');
			result += line;
			at = number;
		}
		return result;
	}
};

/* Runs before LLVM's passes: what must not reach the code generator as it is. */
class Prepare : public llvm::PassInfoMixin<Prepare>
{
	std::shared_ptr<const Listing> listing;

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
			                           std::nullopt, listing->text(file->getFilename()));
		scope->replaceOperandWith(0, listed);
	}

	/*
	 * BTF is made of types, functions and lines. Where variables live is for DWARF, which is dropped in the end:
	 * without it the passes have a third less to do.
	 */
	static void forget_variables(llvm::Module &module)
	{
		for (llvm::Function &function : module)
			for (llvm::Instruction &instruction :
			     llvm::make_early_inc_range(llvm::instructions(function))) {
				instruction.dropDbgRecords();
				if (llvm::isa<llvm::DbgInfoIntrinsic>(instruction))
					instruction.eraseFromParent();
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
	explicit Prepare(std::shared_ptr<const Listing> listing) : listing(std::move(listing))
	{
	}

	llvm::PreservedAnalyses run(llvm::Module &module, llvm::ModuleAnalysisManager &) const
	{
		check_assembler(module);
		forget_variables(module);
		attach_listing(module);
		return llvm::PreservedAnalyses::none();
	}
};

/* All that a compilation holds. */
class Compilation
{
	amon_clang_job &job;
	Reporter reporter;
	llvm::StringRef text;
	llvm::IntrusiveRefCntPtr<llvm::vfs::InMemoryFileSystem> files; /* all that there are: the one text */
	llvm::SmallVector<char, 0> object;
	llvm::LLVMContext context;
	clang::EmitObjAction action;
	clang::CompilerInstance clang;

	bool configure()
	{
		clang::CompilerInvocation &invocation = clang.getInvocation();
		auto listing = std::make_shared<const Listing>(job.name, text);

		clang.createDiagnostics(&reporter, false);
		if (!clang::CompilerInvocation::CreateFromArgs(invocation, arguments, clang.getDiagnostics()))
			return false;
		invocation.getFrontendOpts().Inputs = { { job.name, clang::Language::C } };
		invocation.getCodeGenOpts().MainFileName = job.name;
		invocation.getCodeGenOpts().PassBuilderCallbacks.push_back([listing](llvm::PassBuilder &builder) {
			builder.registerPipelineStartEPCallback(
			        [listing](llvm::ModulePassManager &passes, auto) { passes.addPass(Prepare(listing)); });
		});
		clang.createDiagnostics(&reporter, false); /* again, with the options for warnings */
		clang.createFileManager(files);
		clang.setOutputStream(std::make_unique<ObjectStream>(object));
		return true;
	}

	/* BTF names everything that the loader and the verifier want to know. */
	llvm::Error strip(llvm::SmallVectorImpl<char> &stripped)
	{
		llvm::MemoryBufferRef bytes(llvm::StringRef(object.data(), object.size()), job.name);
		auto file = llvm::object::ObjectFile::createELFObjectFile(bytes);
		llvm::objcopy::ConfigManager config;
		llvm::raw_svector_ostream stream(stripped);

		if (!file)
			return file.takeError();
		config.Common.StripDebug = true;
		return llvm::objcopy::executeObjcopyOnBinary(config, **file, stream);
	}

	void hand_over(llvm::ArrayRef<char> bytes)
	{
		job.object = malloc(bytes.size());
		if (!job.object)
			llvm::report_fatal_error("out of memory", false);
		memcpy(job.object, bytes.data(), bytes.size());
		job.object_size = bytes.size();
	}

      public:
	explicit Compilation(amon_clang_job &job)
	    : job(job), reporter(job), text(job.text, job.length), files(new llvm::vfs::InMemoryFileSystem),
	      action(&context)
	{
		files->addFile(job.name, 0, llvm::MemoryBuffer::getMemBufferCopy(text, job.name));
	}

	void run()
	{
		llvm::SmallVector<char, 0> stripped;

		if (!configure() || !clang.ExecuteAction(action) || reporter.getNumErrors())
			return;
		if (llvm::Error error = strip(stripped))
			llvm::report_fatal_error(std::move(error), false);
		hand_over(stripped);
	}
};

void fatal(void *data, const char *reason, bool)
{
	auto *job = static_cast<amon_clang_job *>(data);

	job->report(job->data, job->name, 0, 0, 3, reason);
	abort();
}

void initialize()
{
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
	Compilation(*job).run();
	llvm::remove_fatal_error_handler();
}
