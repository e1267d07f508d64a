// SPDX-License-Identifier: Apache-2.0
#include "model/side_files.h"

#include "base/profile.h"

namespace nibble {

void copy_side_files(const fs::path& from, const fs::path& to) {
  const Span span("copy files");
  for (const char* name :
       {"generation_config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json",
        "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
        "chat_template.jinja", "chat_template.json", "README.md", "LICENSE", "LICENSE.txt",
        "LICENSE.md", "NOTICE", "NOTICE.txt"})
    if (input_exists(from / name)) write_text_file(to / name, MappedFile(from / name).text());
}

}  // namespace nibble
