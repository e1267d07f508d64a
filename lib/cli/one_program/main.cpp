// SPDX-License-Identifier: Apache-2.0
// All tools in one program: it does what the tool does by whose name it is called.
#include <cstdio>
#include <string_view>

#include "cli/tool.h"

#define NIBBLE_TOOL(name, entry) int entry(int argc, char** argv);
#include "tools.inc"
#undef NIBBLE_TOOL

int main(int argc, char** argv) {
  const std::string_view path = argc > 0 ? argv[0] : "";
  const std::string_view name = path.substr(path.rfind('/') + 1);
#define NIBBLE_TOOL(tool, entry) \
  if (name == (tool)) return entry(argc, argv);
#include "tools.inc"
#undef NIBBLE_TOOL
  std::fputs("nibble: call it by a tool's name, which a link to it has\n", stderr);
  return static_cast<int>(nibble::Exit::kUsage);
}
