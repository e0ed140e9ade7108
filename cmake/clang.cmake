# The module amon-clang.so. Linked with LLVM's archives where they are installed (libclang-19-dev and llvm-19-dev have
# them): it then needs no LLVM where it runs, opens in a third of the time and compiles faster. Else with the shared
# libraries, which are then needed at run time (libclang-cpp19, libllvm19).
enable_language(CXX)
set(CMAKE_CXX_STANDARD 17)
find_package(LLVM 19.1 REQUIRED CONFIG PATHS /usr/lib/llvm-19)
find_program(AMON_LLVM_CONFIG NAMES llvm-config llvm-config-19 HINTS ${LLVM_TOOLS_BINARY_DIR} NO_DEFAULT_PATH)
find_library(AMON_ZSTD NAMES zstd libzstd.so.1)
if(EXISTS ${LLVM_LIBRARY_DIRS}/libclangCodeGen.a AND EXISTS ${LLVM_LIBRARY_DIRS}/libLLVMBPFCodeGen.a AND AMON_LLVM_CONFIG AND AMON_ZSTD)
  set(archives ON)
else()
  set(archives OFF)
endif()
option(AMON_STATIC_CLANG "Link amon-clang.so with LLVM's archives" ${archives})

add_library(amon-clang MODULE runtime/frontend_clang.cc)
set_target_properties(amon-clang PROPERTIES PREFIX "" CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
                                            BUILD_WITH_INSTALL_RPATH ON)
target_include_directories(amon-clang SYSTEM PRIVATE ${LLVM_INCLUDE_DIRS})
target_include_directories(amon-clang PRIVATE ${CMAKE_SOURCE_DIR})
# LLVM's allocators mark memory for the address sanitizer where they are compiled for it; its libraries are not.
target_compile_options(amon-clang PRIVATE -fno-rtti -fno-sanitize=all)
# What a user's C may include: clang's own headers, the kernel's for users, libbpf's.
find_path(AMON_CLANG_INCLUDE NAMES stddef.h HINTS ${LLVM_LIBRARY_DIRS}/clang/19/include NO_DEFAULT_PATH REQUIRED)
set(AMON_SYSTEM_INCLUDE /usr/include)
set(AMON_ARCH_INCLUDE ${AMON_SYSTEM_INCLUDE}/${CMAKE_CXX_LIBRARY_ARCHITECTURE})
foreach(target amon-clang amon-runtime)
  foreach(name CLANG SYSTEM ARCH)
    target_compile_definitions(${target} PRIVATE AMON_${name}_INCLUDE="${AMON_${name}_INCLUDE}")
  endforeach()
endforeach()
target_link_directories(amon-clang PRIVATE ${LLVM_LIBRARY_DIRS})

if(AMON_STATIC_CLANG)
  execute_process(
    COMMAND ${AMON_LLVM_CONFIG} --link-static --libs bpf passes codegen option irreader linker bitwriter lto coverage
            frontenddriver frontendhlsl frontendopenmp frontendoffloading windowsdriver
    OUTPUT_VARIABLE llvm_archives OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  # Debian's LLVM names Polly, which is packaged apart; frontend_clang.cc stands in for it.
  string(REGEX REPLACE "-lPolly[A-Z]*" "" llvm_archives "${llvm_archives}")
  separate_arguments(llvm_archives)
  set(clang_archives)
  foreach(part CodeGen Frontend Driver Serialization Parse Sema Analysis APINotes ASTMatchers AST Edit Lex Basic Support)
    list(APPEND clang_archives ${LLVM_LIBRARY_DIRS}/libclang${part}.a)
  endforeach()
  target_compile_definitions(amon-clang PRIVATE AMON_STATIC_CLANG)
  # Its own symbols only, bound among themselves: no other LLVM in the process can get mixed up with it.
  target_link_options(amon-clang PRIVATE -Wl,--gc-sections -Wl,--exclude-libs,ALL -Wl,-Bsymbolic -Wl,--strip-debug)
  target_link_libraries(amon-clang PRIVATE -Wl,--start-group ${clang_archives} ${llvm_archives} -Wl,--end-group z
                                           ${AMON_ZSTD} m ${CMAKE_DL_LIBS})
else()
  target_link_libraries(amon-clang PRIVATE ${LLVM_LIBRARY_DIRS}/libclang-cpp.so.19.1 LLVM)
endif()
