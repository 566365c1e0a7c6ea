# Writes files as C++ arrays, plain and compressed: cmake -DOUT=... -DFILES=a,b -DGZIP=... -P
string(REPLACE "," ";" files "${FILES}")
set(arrays "")
set(entries "")

function(append_array name path)
  file(READ ${path} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${hex}")
  set(arrays "${arrays}constexpr char ${name}[] = {${bytes}};\n" PARENT_SCOPE)
endfunction()

foreach(path ${files})
  get_filename_component(name ${path} NAME)
  string(MAKE_C_IDENTIFIER "k_${name}" symbol)
  set(packed ${OUT}.${name}.gz)
  # Without a time in it: the same sources give the same program.
  execute_process(COMMAND ${GZIP} -9 -n -c ${path} OUTPUT_FILE ${packed} RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "cannot compress ${path}: ${failed}")
  endif()
  append_array(${symbol} ${path})
  append_array(${symbol}_gz ${packed})
  string(APPEND entries "    {\"${name}\", {${symbol}, sizeof ${symbol}}, {${symbol}_gz, sizeof ${symbol}_gz}},\n")
endforeach()

file(WRITE ${OUT} "// Made from src/admin/page by cmake/EmbedPage.cmake.
#include \"admin/page_files.h\"

namespace weir::admin {
namespace {

${arrays}
constexpr PageFile kFiles[] = {
${entries}};

}  // namespace

std::span<const PageFile> page_files() { return kFiles; }

}  // namespace weir::admin
")
