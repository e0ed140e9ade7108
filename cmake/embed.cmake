# amon_embed_texts(NAME OUTPUT FILE…): a C file that defines `struct amon_text amon_NAME[]` (name, text), ended by a NULL name.
set(AMON_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/embed-texts.cmake)
function(amon_embed_texts name output)
  list(JOIN ARGN "|" files)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DOUTPUT=${output} "-DFILES=${files}" -P ${AMON_EMBED_SCRIPT}
    DEPENDS ${ARGN} ${AMON_EMBED_SCRIPT}
    VERBATIM)
endfunction()

# amon_embed_bpf(VARIABLE FILE.bpf.c…): compiles each for BPF and puts its object into an assembler file that defines
# amon_bpf_FILE and amon_bpf_FILE_end; VARIABLE is set to those files.
find_program(AMON_BPF_CLANG NAMES clang-19 REQUIRED)
enable_language(ASM)
function(amon_embed_bpf variable)
  set(result)
  foreach(source ${ARGN})
    get_filename_component(name ${source} NAME)
    string(REPLACE ".bpf.c" "" name ${name})
    set(object ${CMAKE_BINARY_DIR}/${name}.bpf.o)
    set(assembly ${CMAKE_BINARY_DIR}/${name}.bpf.S)
    add_custom_command(
      OUTPUT ${object}
      COMMAND ${AMON_BPF_CLANG} -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -I${CMAKE_SOURCE_DIR}
              -I${CMAKE_SYSROOT}/usr/include/${CMAKE_LIBRARY_ARCHITECTURE} -c ${source} -o ${object} -MD -MF ${object}.d
      DEPENDS ${source} DEPFILE ${object}.d
      VERBATIM)
    file(WRITE ${assembly}.in ".section .rodata\n.balign 16\n.globl amon_bpf_${name}, amon_bpf_${name}_end\namon_bpf_${name}:\n.incbin \"${object}\"\namon_bpf_${name}_end:\n.section .note.GNU-stack,\"\",%progbits\n")
    configure_file(${assembly}.in ${assembly} COPYONLY)
    set_source_files_properties(${assembly} PROPERTIES OBJECT_DEPENDS ${object})
    list(APPEND result ${assembly})
  endforeach()
  set(${variable} ${result} PARENT_SCOPE)
endfunction()
