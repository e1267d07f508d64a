// SPDX-License-Identifier: Apache-2.0
#include "text/unicode.h"

#include <gtest/gtest.h>

#include "text/nfc.h"
#include "text/tokenizer.h"

namespace nibble {
namespace {

TEST(Sha256, KnownDigests) {
  // FIPS 180-4's examples, and lengths around a block's end (from coreutils' sha256sum).
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex(std::string(55, 'a')),
            "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
  EXPECT_EQ(sha256_hex(std::string(64, 'a')),
            "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
  EXPECT_EQ(sha256_hex(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Unicode, EveryCodePointComesBack) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_utf8(text, c);
    const CodePoint p = read_utf8(text, 0);
    ASSERT_EQ(uint32_t{p.code}, uint32_t{c});
    ASSERT_EQ(static_cast<size_t>(p.size), text.size());
    for (size_t cut = 1; cut < text.size(); ++cut)
      ASSERT_TRUE(read_utf8(text.substr(0, cut), 0).code == kInvalidCode) << uint32_t{c};
  }
}

TEST(Unicode, BadBytesBecomeReplacements) {
  // As Python's bytes.decode(errors="replace").
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(lossy_utf8("a\xFFz"), "a" + r + "z");
  EXPECT_EQ(lossy_utf8("\xC0\x80"), r + r);
  EXPECT_EQ(lossy_utf8("\xE2\x96"), r);
  EXPECT_EQ(lossy_utf8("\xE2\x96z"), r + "z");
  EXPECT_EQ(lossy_utf8("\xED\xA0\x80"), r + r + r);
  EXPECT_EQ(lossy_utf8("\xF0\x9F\x98"), r);
  EXPECT_EQ(lossy_utf8("\xF4\x90\x80\x80"), r + r + r + r);
  EXPECT_EQ(lossy_utf8("\xF0\x9F\x98\x80"), "\xF0\x9F\x98\x80");
}

TEST(Unicode, StripIsPythons) {
  EXPECT_EQ(python_strip(" \n\t\x1F\xC2\xA0\xE3\x80\x80x y\xE2\x80\xA8\r "), "x y");
  EXPECT_EQ(python_strip("\xE2\x80\x8Bx"), "\xE2\x80\x8Bx");  // a zero width space is none
  EXPECT_EQ(python_strip(" \n "), "");
  EXPECT_EQ(python_strip(" \xFF "), "\xFF");
}

std::string nfc(std::string_view text) {
  std::string out;
  append_nfc(out, text);
  return out;
}

TEST(Nfc, Composes) {
  EXPECT_EQ(nfc("e\xCC\x81"), "\xC3\xA9");
  EXPECT_EQ(nfc("\xE2\x84\xAB"), "\xC3\x85");                              // angstrom sign
  EXPECT_EQ(nfc("a\xCC\x81\xCC\xA3"), "\xE1\xBA\xA1\xCC\x81");             // marks change places
  EXPECT_EQ(nfc("\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8"), "\xEA\xB0\x81");  // jamo
  EXPECT_EQ(nfc("plain \xE6\x97\xA5\xE6\x9C\xAC"), "plain \xE6\x97\xA5\xE6\x9C\xAC");
  EXPECT_EQ(nfc(""), "");
}

TEST(Nfc, NewerCharactersStay) {
  // U+11935 U+11930 compose since Unicode 13; U+1ABF U+0323 reorder since then.
  EXPECT_EQ(nfc("\xF0\x91\xA4\xB5\xF0\x91\xA4\xB0"), "\xF0\x91\xA4\xB5\xF0\x91\xA4\xB0");
  EXPECT_EQ(nfc("x\xCC\x81\xE1\xAA\xBF\xCC\xA3"), "x\xCC\x81\xE1\xAA\xBF\xCC\xA3");
}

TEST(Utf8Stream, GivesWholeCharacters) {
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z";
  for (size_t step = 1; step <= text.size(); ++step) {
    Utf8Stream stream;
    std::string joined;
    for (size_t i = 0; i < text.size(); i += step) {
      const std::string part = stream.push(text.substr(i, step));
      EXPECT_TRUE(is_utf8(part)) << "step " << step;
      joined += part;
    }
    EXPECT_EQ(joined + stream.flush(), text);
  }
  Utf8Stream stream;
  EXPECT_EQ(stream.push("\xFF"), "\xFF");  // what can become no character is not kept
  EXPECT_EQ(stream.push("\xE2\x82"), "");
  EXPECT_EQ(stream.push("z"), "\xE2\x82z");
  EXPECT_EQ(stream.push("\xF0\x9F"), "");
  EXPECT_EQ(stream.flush(), "\xF0\x9F");
  EXPECT_EQ(stream.flush(), "");
}

}  // namespace
}  // namespace nibble
