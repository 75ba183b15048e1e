# Writes OUT, a C file with every asset as bytes and the SHA-256 that the page's security policy
# names. Run by src/report/CMakeLists.txt at build time.
#
# Debian ships Vega as modules that call require(); wrapped in order they give one script with a
# single global, `vega`, holding the few names that report.js uses. Geography, hierarchies, word
# clouds and other transforms that no figure here uses are left out.

function(to_c name text)
  set(file "${OUT}.part")
  file(WRITE "${file}" "${text}")
  file(SHA256 "${file}" sha)
  file(READ "${file}" hex HEX)
  file(REMOVE "${file}")
  string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
  string(MAKE_C_IDENTIFIER "${name}" id)
  file(APPEND "${OUT}.new" "static const unsigned char bytes_${id}[] = {\n${hex}0x00 };\n")
  set(rows "${rows}    { \"${name}\", (const char *)bytes_${id}, sizeof bytes_${id} - 1, \"${sha}\" },\n" PARENT_SCOPE)
endfunction()

# Text inside <script> ends at the first "</script"; a comment opener changes how it is read.
function(check_script name text)
  string(TOLOWER "${text}" lower)
  foreach(bad "</script" "<!--")
    string(FIND "${lower}" "${bad}" at)
    if(NOT at EQUAL -1)
      message(FATAL_ERROR "${name} contains '${bad}' and cannot stand inside <script>")
    endif()
  endforeach()
endfunction()

set(rows)
file(WRITE "${OUT}.new" "/* Made by src/report/embed.cmake. */\n#include \"report/assets.h\"\n\n")

file(READ "${NOTICE}" notice) # the licence asks for it wherever the code goes
set(vega "/*\n${notice}*/\nvar vega=(function(){\"use strict\";var M={};function R(n){if(!M[n])throw Error(\"no module \"+n);return M[n]}\n")
foreach(module ${MODULES})
  file(READ "${VEGA_DIR}/vega-${module}.min.js" text)
  string(REGEX REPLACE "//# sourceMappingURL=[^\n]*" "" text "${text}")
  set(as "vega-${module}")
  if(module STREQUAL "selection")
    set(as "vega-selections")
  endif()
  string(APPEND vega "M[\"${as}\"]={};(function(exports,module,require){\n${text}\n})(M[\"${as}\"],{},R);\n")
endforeach()
string(APPEND vega "var t=M[\"vega-dataflow\"].transforms;[\"vega-transforms\",\"vega-view-transforms\",\"vega-encode\"].forEach(function(n){Object.assign(t,M[n])});\n"
  "return {parse:M[\"vega-parser\"].parse,View:M[\"vega-view\"].View,expressionInterpreter:M[\"vega-interpreter\"].expressionInterpreter};\n})();\n")
check_script("Vega" "${vega}")
to_c(vega.js "${vega}")

foreach(path ${ASSETS})
  get_filename_component(name "${path}" NAME)
  file(READ "${path}" text)
  if(name MATCHES "\\.js$")
    check_script("${name}" "${text}")
  endif()
  to_c("${name}" "${text}")
endforeach()
file(APPEND "${OUT}.new" "\nconst struct asset assets[] = {\n${rows}    { 0, 0, 0, 0 },\n};\n")
file(RENAME "${OUT}.new" "${OUT}")
