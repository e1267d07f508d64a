// SPDX-License-Identifier: Apache-2.0
#include "base/profile.h"

#include "base/profile_wait.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "base/threads.h"

namespace nibble {
namespace {

void pause() {
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

const ProfileRow& row(const Profile& profile, const std::string& name) {
  for (const ProfileRow& r : profile.rows)
    if (r.name == name) return r;
  throw std::out_of_range(name);
}

TEST(Profile, RecordsNothingUnlessStarted) {
  { const Span span("before"); }
  profile_start();
  EXPECT_TRUE(profile_stop().rows.empty());
  const Span span("after");
  EXPECT_FALSE(span.recording());
}

TEST(Profile, SumsByNameAndKeepsInnerTimeApart) {
  profile_start();
  {
    const Span outer("outer");
    for (int i = 0; i < 3; ++i) {
      Span inner("inner");
      inner.add(10.0, 4.0);
      pause();
    }
    pause();
  }
  const Profile profile = profile_stop();
  const ProfileRow &outer = row(profile, "outer"), &inner = row(profile, "inner");
  EXPECT_EQ(outer.calls, 1);
  EXPECT_EQ(inner.calls, 3);
  EXPECT_EQ(inner.flops, 30.0);
  EXPECT_EQ(inner.bytes, 12.0);
  EXPECT_GE(inner.self, 0.006);
  EXPECT_DOUBLE_EQ(inner.self, inner.seconds);
  EXPECT_GE(outer.self, 0.002);
  EXPECT_NEAR(outer.self + inner.self, outer.seconds, 1e-6);
  EXPECT_LE(outer.seconds, profile.seconds);
}

TEST(Profile, CountsWhatIsSharedOutAsAWhole) {
  profile_start();
  {
    const Span whole("whole");
    set_threads(2);
    parallel_for(2, 1, [](int64_t, int64_t) {
      const Span part("part");
      EXPECT_FALSE(part.recording());
      pause();
    });
    set_threads(0);
  }
  const Profile profile = profile_stop();
  ASSERT_EQ(profile.rows.size(), 1u);
  EXPECT_LE(row(profile, "whole").self, profile.seconds);
}

TEST(Profile, WaitsBeforeASpanEnds) {
  at_end_of_spans([] { std::this_thread::sleep_for(std::chrono::milliseconds(20)); });
  profile_start();
  { const Span span("given out"); }
  const Profile profile = profile_stop();
  at_end_of_spans(nullptr);
  EXPECT_GE(row(profile, "given out").self, 0.02);
}

TEST(Profile, KeepsAsManyEventsAsAsked) {
  profile_start(2);
  for (int i = 0; i < 5; ++i) const Span span("short");
  const Profile profile = profile_stop();
  EXPECT_EQ(profile.events.size(), 2u);
  EXPECT_EQ(profile.dropped, 3);
  EXPECT_EQ(row(profile, "short").calls, 5);
}

TEST(Profile, TakesSpansOfAllThreads) {
  profile_start();
  std::thread other([] { const Span span("there"); });
  { const Span span("here"); }
  other.join();
  const Profile profile = profile_stop();
  ASSERT_EQ(profile.events.size(), 2u);
  EXPECT_NE(profile.events[0].thread, profile.events[1].thread);
}

}  // namespace
}  // namespace nibble
