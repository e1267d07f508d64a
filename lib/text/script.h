// SPDX-License-Identifier: Apache-2.0
// Scripts: which writing system a letter belongs to, for saying what languages a text may be in.
#pragma once

#include <cstdint>
#include <string_view>

namespace nibble {

/// The scripts that are told apart; kOther: a letter of any other, kNone: a digit, a mark, a space
/// or what else scripts share.
enum class Script : uint8_t {
  kLatin,
  kGreek,
  kCyrillic,
  kArmenian,
  kHebrew,
  kArabic,
  kDevanagari,
  kBengali,
  kGurmukhi,
  kGujarati,
  kTamil,
  kTelugu,
  kKannada,
  kMalayalam,
  kSinhala,
  kThai,
  kLao,
  kTibetan,
  kMyanmar,
  kGeorgian,
  kHangul,
  kEthiopic,
  kKhmer,
  kMongolian,
  kHiragana,
  kKatakana,
  kHan,
  kOther,
  kNone
};
inline constexpr size_t kScripts = static_cast<size_t>(Script::kNone);

/// "Latin", "Han", "other".
std::string_view script_name(Script script);

Script script_of(char32_t code);

}  // namespace nibble
