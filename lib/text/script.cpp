// SPDX-License-Identifier: Apache-2.0
#include "text/script.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>

namespace nibble {
namespace {

using enum Script;

struct ScriptRange {
  uint32_t first, last;
  Script script;
};

// The property Script of Unicode 14 (Scripts.txt): the Basic Multilingual Plane, kana and Han
// beyond.
constexpr ScriptRange kRanges[] = {
    {0x41, 0x5a, kLatin},          {0x61, 0x7a, kLatin},          {0xaa, 0xaa, kLatin},
    {0xba, 0xba, kLatin},          {0xc0, 0xd6, kLatin},          {0xd8, 0xf6, kLatin},
    {0xf8, 0x2b8, kLatin},         {0x2e0, 0x2e4, kLatin},        {0x370, 0x373, kGreek},
    {0x375, 0x37d, kGreek},        {0x37f, 0x384, kGreek},        {0x386, 0x386, kGreek},
    {0x388, 0x3e1, kGreek},        {0x3f0, 0x3ff, kGreek},        {0x400, 0x484, kCyrillic},
    {0x487, 0x52f, kCyrillic},     {0x531, 0x58f, kArmenian},     {0x591, 0x5f4, kHebrew},
    {0x600, 0x604, kArabic},       {0x606, 0x60b, kArabic},       {0x60d, 0x61a, kArabic},
    {0x61c, 0x61e, kArabic},       {0x620, 0x63f, kArabic},       {0x641, 0x64a, kArabic},
    {0x656, 0x66f, kArabic},       {0x671, 0x6dc, kArabic},       {0x6de, 0x6ff, kArabic},
    {0x750, 0x77f, kArabic},       {0x870, 0x8e1, kArabic},       {0x8e3, 0x8ff, kArabic},
    {0x900, 0x950, kDevanagari},   {0x955, 0x963, kDevanagari},   {0x966, 0x97f, kDevanagari},
    {0x980, 0x9fe, kBengali},      {0xa01, 0xa76, kGurmukhi},     {0xa81, 0xaff, kGujarati},
    {0xb82, 0xbfa, kTamil},        {0xc00, 0xc7f, kTelugu},       {0xc80, 0xcf2, kKannada},
    {0xd00, 0xd7f, kMalayalam},    {0xd81, 0xdf4, kSinhala},      {0xe01, 0xe3a, kThai},
    {0xe40, 0xe5b, kThai},         {0xe81, 0xedf, kLao},          {0xf00, 0xfd4, kTibetan},
    {0xfd9, 0xfda, kTibetan},      {0x1000, 0x109f, kMyanmar},    {0x10a0, 0x10fa, kGeorgian},
    {0x10fc, 0x10ff, kGeorgian},   {0x1100, 0x11ff, kHangul},     {0x1200, 0x1399, kEthiopic},
    {0x1780, 0x17f9, kKhmer},      {0x1800, 0x1801, kMongolian},  {0x1804, 0x1804, kMongolian},
    {0x1806, 0x18aa, kMongolian},  {0x19e0, 0x19ff, kKhmer},      {0x1c80, 0x1c88, kCyrillic},
    {0x1c90, 0x1cbf, kGeorgian},   {0x1d00, 0x1d25, kLatin},      {0x1d26, 0x1d2a, kGreek},
    {0x1d2b, 0x1d2b, kCyrillic},   {0x1d2c, 0x1d5c, kLatin},      {0x1d5d, 0x1d61, kGreek},
    {0x1d62, 0x1d65, kLatin},      {0x1d66, 0x1d6a, kGreek},      {0x1d6b, 0x1d77, kLatin},
    {0x1d78, 0x1d78, kCyrillic},   {0x1d79, 0x1dbe, kLatin},      {0x1dbf, 0x1dbf, kGreek},
    {0x1e00, 0x1eff, kLatin},      {0x1f00, 0x1ffe, kGreek},      {0x2071, 0x2071, kLatin},
    {0x207f, 0x207f, kLatin},      {0x2090, 0x209c, kLatin},      {0x2126, 0x2126, kGreek},
    {0x212a, 0x212b, kLatin},      {0x2132, 0x2132, kLatin},      {0x214e, 0x214e, kLatin},
    {0x2160, 0x2188, kLatin},      {0x2c60, 0x2c7f, kLatin},      {0x2d00, 0x2d2d, kGeorgian},
    {0x2d80, 0x2dde, kEthiopic},   {0x2de0, 0x2dff, kCyrillic},   {0x2e80, 0x2fd5, kHan},
    {0x3005, 0x3005, kHan},        {0x3007, 0x3007, kHan},        {0x3021, 0x3029, kHan},
    {0x302e, 0x302f, kHangul},     {0x3038, 0x303b, kHan},        {0x3041, 0x3096, kHiragana},
    {0x309d, 0x309f, kHiragana},   {0x30a1, 0x30fa, kKatakana},   {0x30fd, 0x30ff, kKatakana},
    {0x3131, 0x318e, kHangul},     {0x31f0, 0x31ff, kKatakana},   {0x3200, 0x321e, kHangul},
    {0x3260, 0x327e, kHangul},     {0x32d0, 0x32fe, kKatakana},   {0x3300, 0x3357, kKatakana},
    {0x3400, 0x4dbf, kHan},        {0x4e00, 0x9fff, kHan},        {0xa640, 0xa69f, kCyrillic},
    {0xa722, 0xa787, kLatin},      {0xa78b, 0xa7ff, kLatin},      {0xa8e0, 0xa8ff, kDevanagari},
    {0xa960, 0xa97c, kHangul},     {0xa9e0, 0xa9fe, kMyanmar},    {0xaa60, 0xaa7f, kMyanmar},
    {0xab01, 0xab2e, kEthiopic},   {0xab30, 0xab5a, kLatin},      {0xab5c, 0xab64, kLatin},
    {0xab65, 0xab65, kGreek},      {0xab66, 0xab69, kLatin},      {0xac00, 0xd7fb, kHangul},
    {0xf900, 0xfad9, kHan},        {0xfb00, 0xfb06, kLatin},      {0xfb13, 0xfb17, kArmenian},
    {0xfb1d, 0xfb4f, kHebrew},     {0xfb50, 0xfd3d, kArabic},     {0xfd40, 0xfdff, kArabic},
    {0xfe2e, 0xfe2f, kCyrillic},   {0xfe70, 0xfefc, kArabic},     {0xff21, 0xff3a, kLatin},
    {0xff41, 0xff5a, kLatin},      {0xff66, 0xff6f, kKatakana},   {0xff71, 0xff9d, kKatakana},
    {0xffa0, 0xffdc, kHangul},     {0x1aff0, 0x1b000, kKatakana}, {0x1b001, 0x1b11f, kHiragana},
    {0x1b120, 0x1b122, kKatakana}, {0x1b150, 0x1b152, kHiragana}, {0x1b164, 0x1b167, kKatakana},
    {0x20000, 0x3134a, kHan},
};

constexpr std::string_view kNames[] = {
    "Latin",    "Greek",    "Cyrillic",  "Armenian", "Hebrew",   "Arabic",   "Devanagari",
    "Bengali",  "Gurmukhi", "Gujarati",  "Tamil",    "Telugu",   "Kannada",  "Malayalam",
    "Sinhala",  "Thai",     "Lao",       "Tibetan",  "Myanmar",  "Georgian", "Hangul",
    "Ethiopic", "Khmer",    "Mongolian", "Hiragana", "Katakana", "Han",      "other"};
static_assert(std::size(kNames) == kScripts);

}  // namespace

std::string_view script_name(Script script) {
  return script == kNone ? "none" : kNames[static_cast<size_t>(script)];
}

Script script_of(char32_t code) {
  if (code < 0x80) {
    const char32_t lower = code | 0x20;
    return lower >= 'a' && lower <= 'z' ? kLatin : kNone;
  }
  const auto* const range =
      std::upper_bound(std::begin(kRanges), std::end(kRanges), code,
                       [](char32_t c, const ScriptRange& r) { return c < r.first; });
  if (range != std::begin(kRanges) && code <= std::prev(range)->last)
    return std::prev(range)->script;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LO:
      return code > 0x10ffff ? kNone : kOther;
    default:
      return kNone;
  }
}

}  // namespace nibble
