# SPDX-License-Identifier: Apache-2.0
# nibble: all tools as one program, which does what the tool does by whose name it is called. What
# they have in common, the GPU's code above all, is there once: scripts/bundle takes it.
foreach(source ${tools})
  get_filename_component(tool ${source} NAME_WE)
  string(MAKE_C_IDENTIFIER ${tool}_main entry)
  add_library(${tool}-part OBJECT EXCLUDE_FROM_ALL ${source})
  target_compile_definitions(${tool}-part PRIVATE main=${entry})
  target_link_libraries(${tool}-part PRIVATE nibble_eval nibble_train nibble_plot nibble_cli)
  list(APPEND parts $<TARGET_OBJECTS:${tool}-part>)
  string(APPEND NIBBLE_TOOLS "NIBBLE_TOOL(\"${tool}\", ${entry})\n")
endforeach()
file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/tools.inc CONTENT "${NIBBLE_TOOLS}")
add_executable(nibble EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/main.cpp ${parts})
target_include_directories(nibble PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
target_link_libraries(nibble PRIVATE nibble_eval nibble_train nibble_plot nibble_cli nibble_cuda)
