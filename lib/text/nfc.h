// SPDX-License-Identifier: Apache-2.0
// Unicode's normal form C, as Hugging Face's tokenizers apply it: by the tables of Unicode 9.
// Characters that are newer neither compose nor reorder, although the library here (utf8proc) knows
// them.
#pragma once

#include <string>
#include <string_view>

namespace nibble {

/// Appends the text, which must be valid UTF-8, in NFC.
void append_nfc(std::string& out, std::string_view text);

}  // namespace nibble
