# SPDX-License-Identifier: Apache-2.0
# The task files as a source of nibble_eval: part of the program, which so needs no folder beside it
# wherever it is put. They are installed too, to be read and copied.
file(GLOB files CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.toml)
set(entries "")
foreach(file ${files})
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} text)
  string(APPEND entries "    {\"${name}\", R\"nibble-task(${text})nibble-task\"},\n")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
endforeach()
file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/builtin_tasks.cpp CONTENT
"#include \"eval/task.h\"
namespace nibble::detail {
const BuiltinTask kBuiltinTasks[] = {
${entries}};
const size_t kBuiltinTaskCount = sizeof kBuiltinTasks / sizeof *kBuiltinTasks;
}  // namespace nibble::detail
")
target_sources(nibble_eval PRIVATE ${CMAKE_BINARY_DIR}/builtin_tasks.cpp)
install(DIRECTORY ${CMAKE_CURRENT_LIST_DIR}/ DESTINATION share/nibble/tasks
  FILES_MATCHING PATTERN "*.toml" PATTERN "FORMAT.md")
