// SPDX-License-Identifier: Apache-2.0
#include "base/siphash.h"

#include <gtest/gtest.h>

#include <string>

namespace nibble {
namespace {

TEST(SipHash, GivesThePublishedVectors) {
  std::string input;
  const Digest key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
  struct {
    size_t bytes;
    Digest want;
  } const vectors[] = {{0, {0xe6a825ba047f81a3, 0x930255c71472f66d}},
                       {1, {0x44af996bd8c187da, 0x45fc229b11597634}},
                       {7, {0x53c1dbd8beebf1a1, 0x3982f01fa64ab8c0}},
                       {8, {0x61f55862baa9623b, 0xb49714f364e2830f}},
                       {15, {0x11a8b03399e99354, 0xd9c3cf970fec087e}},
                       {63, {0x4a83502f77d15051, 0x7cbd3f979a063e50}}};
  for (const auto& v : vectors) {
    while (input.size() < v.bytes) input += static_cast<char>(input.size());
    EXPECT_EQ(siphash128(key, input), v.want) << v.bytes << " bytes";
  }
}

}  // namespace
}  // namespace nibble
