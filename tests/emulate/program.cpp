// SPDX-License-Identifier: Apache-2.0
#include "program.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nibble::emulate {
namespace {

std::vector<Symbol> read_symbols() {
  std::vector<Symbol> symbols;
  const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return symbols;
  struct stat info {};
  const bool known = fstat(fd, &info) == 0;
  const auto size = static_cast<size_t>(info.st_size);
  void* map = known ? mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
  close(fd);
  if (map == MAP_FAILED) return symbols;
  const char* file = static_cast<const char*>(map);
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(file);
  const auto* sections = reinterpret_cast<const Elf64_Shdr*>(file + header->e_shoff);
  for (int i = 0; i < header->e_shnum; ++i) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    const auto* all = reinterpret_cast<const Elf64_Sym*>(file + sections[i].sh_offset);
    const char* names = file + sections[sections[i].sh_link].sh_offset;
    for (size_t j = 0; j < sections[i].sh_size / sizeof *all; ++j) {
      const auto type = ELF64_ST_TYPE(all[j].st_info);
      if ((type != STT_TLS && type != STT_FUNC) || all[j].st_size == 0) continue;
      symbols.push_back({all[j].st_value, all[j].st_size, type == STT_TLS, names + all[j].st_name});
    }
  }
  munmap(map, size);
  return symbols;
}

}  // namespace

const std::vector<Symbol>& program_symbols() {
  static const std::vector<Symbol> all = read_symbols();
  return all;
}

uint64_t program_base() {
  static const uint64_t base = [] {
    uint64_t found = 0;
    dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void* out) {
          *static_cast<uint64_t*>(out) = info->dlpi_addr;
          return 1;  // the program itself comes first
        },
        &found);
    return found;
  }();
  return base;
}

std::string function_name(const void* address) {
  const auto value = reinterpret_cast<uint64_t>(address) - program_base();
  for (const Symbol& s : program_symbols()) {
    if (!s.thread_local_storage && value - s.value < s.bytes) return s.name;
  }
  return std::to_string(value);
}

}  // namespace nibble::emulate
