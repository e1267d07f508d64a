// SPDX-License-Identifier: Apache-2.0
// What the running program's own file says of itself: its symbols.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace nibble::emulate {

struct Symbol {
  uint64_t value, bytes;
  bool thread_local_storage;
  std::string name;
};

/// Functions and thread_local variables; none of a stripped program.
const std::vector<Symbol>& program_symbols();
/// Where the program is loaded: addresses less this are those of its file.
uint64_t program_base();
/// The mangled name of the function at an address, else the address.
std::string function_name(const void* address);

}  // namespace nibble::emulate
