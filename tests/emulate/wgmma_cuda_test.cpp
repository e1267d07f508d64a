// SPDX-License-Identifier: Apache-2.0
// A device whose wgmma computes something else is found out before attention uses it, which is told
// once; a sound one is taken at its word, and one without wgmma is not asked.
#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/notice.h"
#include "emulate.h"
#include "kernels/cuda/queue.h"
#include "kernels/cuda/wgmma_check.h"
#include "tensor/memory.h"

namespace nibble {
namespace {

class Wgmma : public testing::Test {
 protected:
  Wgmma() {
    on_notice([this](std::string_view text) { notices_.emplace_back(text); });
  }
  ~Wgmma() override {
    unsetenv("NIBBLE_EMULATE_FAULT");
    unsetenv("NIBBLE_WGMMA");
    on_notice(nullptr);
  }

  const OwnedStream owned_{Device{.kind = DeviceKind::kCuda}};
  const Stream stream_ = owned_.get();
  std::vector<std::string> notices_;
};

TEST_F(Wgmma, IsUsedWhereItAgrees) {
  EXPECT_TRUE(cuda::wgmma_usable(stream_));
  EXPECT_TRUE(cuda::queue(stream_).wgmma);
  EXPECT_TRUE(cuda::wgmma_agrees(stream_));
  EXPECT_TRUE(notices_.empty());
}

TEST_F(Wgmma, IsLeftAloneWhereItDiffers) {
  setenv("NIBBLE_EMULATE_FAULT", "wgmma", 1);
  EXPECT_FALSE(cuda::wgmma_agrees(stream_));
  EXPECT_FALSE(cuda::queue(stream_).wgmma);
  ASSERT_EQ(notices_.size(), 1u);
  EXPECT_NE(notices_[0].find("mma.sync"), std::string::npos) << notices_[0];
  EXPECT_EQ(notices_[0].find('\n'), std::string::npos);
  unsetenv("NIBBLE_EMULATE_FAULT");
  EXPECT_TRUE(cuda::wgmma_agrees(stream_));
  EXPECT_TRUE(cuda::queue(stream_).wgmma);
}

// Whoever wants none has none, also where nothing would speak against it, and no notice of it.
TEST_F(Wgmma, IsLeftAloneWhereToldTo) {
  setenv("NIBBLE_WGMMA", "0", 1);
  emulate::take_launches();
  const OwnedStream next(stream_.device);
  EXPECT_FALSE(cuda::on_wgmma(next.get()));
  EXPECT_TRUE(emulate::take_launches().empty());
  EXPECT_TRUE(notices_.empty());
  setenv("NIBBLE_WGMMA", "1", 1);
  EXPECT_TRUE(cuda::on_wgmma(OwnedStream(stream_.device).get()));
  setenv("NIBBLE_WGMMA", "no", 1);
  EXPECT_THROW(OwnedStream(stream_.device), UsageError);
}

// What one stream found out holds for the next, which runs nothing; and it keeps no memory.
TEST_F(Wgmma, IsAskedOncePerDevice) {
  emulate::take_launches();
  const size_t free = cuda::device_facts(0).free;
  EXPECT_TRUE(cuda::wgmma_agrees(stream_));
  EXPECT_EQ(emulate::take_launches()["attention_forward"], 4);
  EXPECT_EQ(cuda::device_facts(0).free, free);
  const OwnedStream next(stream_.device);
  EXPECT_TRUE(cuda::queue(next.get()).wgmma);
  EXPECT_TRUE(emulate::take_launches().empty());
}

}  // namespace
}  // namespace nibble
