// SPDX-License-Identifier: Apache-2.0
#include "model/side_files.h"

namespace nibble {

void copy_side_files(const fs::path& from, const fs::path& to) {
  std::error_code error;
  for (const char* name :
       {"generation_config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json",
        "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
        "chat_template.jinja", "chat_template.json", "README.md", "LICENSE", "LICENSE.txt",
        "LICENSE.md", "NOTICE", "NOTICE.txt"})
    if (fs::exists(from / name, error)) write_text_file(to / name, MappedFile(from / name).text());
}

}  // namespace nibble
