// SPDX-License-Identifier: Apache-2.0
#include "kernels/onednn.h"

#include <dlfcn.h>

#include <string>

#include "base/error.h"

namespace nibble::cpu {
namespace {

const char* last_error() {
  const char* text = dlerror();
  return text ? text : "no reason given";
}

OneDnn open_library() {
  // What the headers describe: another major version has other functions of the same names.
  const std::string name = cat("libdnnl.so.", DNNL_VERSION_MAJOR);
  void* const library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    throw UnavailableError(cat(last_error(), "; install oneDNN ", DNNL_VERSION_MAJOR,
                               ", or do without its bf16 products by NIBBLE_CPU=avx2"));
  OneDnn out{};
#define NIBBLE_FIND(member)                                                             \
  out.member = reinterpret_cast<decltype(out.member)>(dlsym(library, "dnnl_" #member)); \
  if (!out.member) throw UnavailableError(cat(name, ": ", last_error()));
  NIBBLE_ONEDNN(NIBBLE_FIND)
#undef NIBBLE_FIND
  return out;
}

}  // namespace

const OneDnn& onednn() {
  static const OneDnn library = open_library();
  return library;
}

}  // namespace nibble::cpu
