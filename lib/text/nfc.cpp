// SPDX-License-Identifier: Apache-2.0
#include "text/nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "base/error.h"
#include "text/unicode.h"

namespace nibble {
namespace {

// Characters after Unicode 9 up to 15 that have a combining class or are the second of a
// composition.
struct Range {
  char32_t first, last;
};
constexpr Range kNewer[] = {
    {0x7FD, 0x7FD},     {0x898, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},
    {0xC3C, 0xC3C},     {0xD3B, 0xD3C},     {0xEBA, 0xEBA},     {0x1715, 0x1715},
    {0x1ABF, 0x1ACE},   {0x1DF6, 0x1DFA},   {0xA82C, 0xA82C},   {0x10D24, 0x10D27},
    {0x10EAB, 0x10EAC}, {0x10EFD, 0x10EFF}, {0x10F46, 0x10F50}, {0x10F82, 0x10F85},
    {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E}, {0x11839, 0x1183A},
    {0x11930, 0x11930}, {0x1193D, 0x1193E}, {0x11943, 0x11943}, {0x119E0, 0x119E0},
    {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99}, {0x11D42, 0x11D42},
    {0x11D44, 0x11D45}, {0x11D97, 0x11D97}, {0x11F41, 0x11F42}, {0x16FF0, 0x16FF1},
    {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF},
    {0x1E4EC, 0x1E4EF},
};

bool is_newer(char32_t code) {
  const auto* range = std::partition_point(std::begin(kNewer), std::end(kNewer),
                                           [&](const Range& r) { return r.last < code; });
  return range != std::end(kNewer) && range->first <= code;
}

// Whether the character by itself is in NFC and neither composes with what is before it nor
// reorders: no mark, no conjoining jamo, no decomposition.
bool is_inert(char32_t code) {
  if (code < 0x300) return true;
  if (code >= 0x1100 && code < 0x1200) return false;
  const utf8proc_property_t* p = utf8proc_get_property(static_cast<utf8proc_int32_t>(code));
  return p->category != UTF8PROC_CATEGORY_MN && p->category != UTF8PROC_CATEGORY_MC &&
         p->category != UTF8PROC_CATEGORY_ME && p->decomp_seqindex == UINT16_MAX;
}

bool is_all_inert(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    if (static_cast<unsigned char>(text[at]) < 0xCC) {  // below U+0300
      ++at;
      continue;
    }
    const CodePoint p = read_utf8(text, at);
    if (!is_inert(p.code)) return false;
    at += static_cast<size_t>(p.size);
  }
  return true;
}

void compose(std::string& out, std::string_view text) {
  constexpr auto kDecompose = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
  constexpr auto kCompose = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  thread_local std::vector<utf8proc_int32_t> codes;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const auto size = static_cast<utf8proc_ssize_t>(text.size());
  codes.resize(std::max(codes.size(), text.size() + 1));
  auto n = utf8proc_decompose(bytes, size, codes.data(), std::ssize(codes), kDecompose);
  if (n > std::ssize(codes)) {
    codes.resize(static_cast<size_t>(n));
    n = utf8proc_decompose(bytes, size, codes.data(), n, kDecompose);
  }
  CHECK(n >= 0);
  n = utf8proc_normalize_utf32(codes.data(), n, kCompose);
  CHECK(n >= 0);
  for (utf8proc_ssize_t i = 0; i < n; ++i)
    append_utf8(out, static_cast<char32_t>(codes[static_cast<size_t>(i)]));
}

}  // namespace

void append_nfc(std::string& out, std::string_view text) {
  if (is_all_inert(text)) {
    out += text;
    return;
  }
  size_t start = 0;
  for (size_t at = 0; at < text.size();) {
    const CodePoint p = read_utf8(text, at);
    const size_t end = at + static_cast<size_t>(p.size);
    if (is_newer(p.code)) {
      compose(out, text.substr(start, at - start));
      out += text.substr(at, end - at);
      start = end;
    }
    at = end;
  }
  compose(out, text.substr(start));
}

}  // namespace nibble
