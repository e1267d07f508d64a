// SPDX-License-Identifier: Apache-2.0
#include "text/copy_tokenizer.h"

#include <array>

#include "base/profile.h"

namespace nibble {
namespace {

constexpr std::array kFiles = {
    "tokenizer.json",      "tokenizer.model",         "vocab.json",
    "merges.txt",          "tokenizer_config.json",   "added_tokens.json",
    "chat_template.jinja", "special_tokens_map.json", "chat_template.json"};

}  // namespace

bool has_tokenizer(const fs::path& folder) {
  return input_exists(folder / "tokenizer.json") || input_exists(folder / "tokenizer.model");
}

void copy_tokenizer_files(const fs::path& from, const fs::path& to) {
  const Span span("copy files");
  for (const char* name : kFiles)
    if (input_exists(from / name)) write_text_file(to / name, MappedFile(from / name).text());
}

void remove_tokenizer_files(const fs::path& folder) {
  std::error_code error;
  for (const char* name : kFiles) fs::remove(folder / name, error);
}

}  // namespace nibble
