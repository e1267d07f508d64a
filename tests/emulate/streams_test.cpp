// SPDX-License-Identifier: Apache-2.0
// Streams run in any lawful order; what is not ordered is reported. Captures refuse what the real
// ones refuse.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "emulate.h"
#include "example_kernels.h"
#include "fixture.h"
#include "host_code.h"

namespace nibble::emulate_test {
namespace {

constexpr int64_t kCount = 1000;

class Event {
 public:
  Event() { must(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming)); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { cudaEventDestroy(event_); }
  cudaEvent_t handle() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

struct Arrays {
  DeviceArray<float> a{std::vector<float>(kCount, 1)}, b{std::vector<float>(kCount, 2)},
      c{std::vector<float>(kCount, 0)}, d{std::vector<float>(kCount, 0)};
};

std::vector<std::string> faults_now() {
  cudaDeviceSynchronize();
  return emulate::take_faults();
}

// Two kernels on two streams, one reading what the other writes.
std::vector<std::string> produce_and_consume(bool wait) {
  Arrays x;
  const Stream first, second;
  const Event ready;
  try {
    add(x.c.data(), x.a.data(), x.b.data(), kCount, first.handle());
    must(cudaEventRecord(ready.handle(), first.handle()));
    if (wait) must(cudaStreamWaitEvent(second.handle(), ready.handle()));
    add(x.d.data(), x.c.data(), x.a.data(), kCount, second.handle());
    const std::vector<float> got = x.d.read(second);
    if (wait) {
      EXPECT_EQ(got, std::vector<float>(kCount, 4));
    }
  } catch (const std::runtime_error&) {
    EXPECT_FALSE(wait);
  }
  return faults_now();
}

TEST(Streams, AMissingEventWaitIsReportedInEveryOrder) {
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(produce_and_consume(true).empty());
    const auto reports = produce_and_consume(false);
    ASSERT_EQ(reports.size(), 1u);
    EXPECT_NE(reports[0].find("no event wait"), std::string::npos) << reports[0];
  }
}

// A buffer written again before its reader is done.
std::vector<std::string> reuse_buffer(bool wait) {
  Arrays x;
  const Stream first, second;
  const Event read;
  try {
    add(x.c.data(), x.a.data(), x.b.data(), kCount, first.handle());
    must(cudaEventRecord(read.handle(), first.handle()));
    if (wait) must(cudaStreamWaitEvent(second.handle(), read.handle()));
    must(cudaMemsetAsync(x.a.data(), 0, kCount * sizeof(float), second.handle()));
    const std::vector<float> got = x.c.read(first);
    if (wait) {
      EXPECT_EQ(got, std::vector<float>(kCount, 3));
    }
  } catch (const std::runtime_error&) {
    EXPECT_FALSE(wait);
  }
  return faults_now();
}

TEST(Streams, ABufferReusedTooEarlyIsReported) {
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(reuse_buffer(true).empty());
    EXPECT_EQ(reuse_buffer(false).size(), 1u);
  }
}

TEST(Streams, RunInManyOrders) {
  std::set<std::string> orders;
  for (int i = 0; i < 60; ++i) {
    static std::string order;
    order.clear();
    const Stream streams[3];
    for (const Stream& s : streams) {
      for (int j = 0; j < 2; ++j) {
        static const char* names[] = {"a", "b", "c"};
        must(cudaLaunchHostFunc(
            s.handle(), [](void* name) { order += static_cast<const char*>(name); },
            const_cast<char*>(names[&s - streams])));
      }
    }
    must(cudaDeviceSynchronize());
    EXPECT_EQ(order.size(), 6u);
    orders.insert(order);
  }
  EXPECT_GT(orders.size(), 5u);
}

TEST(Streams, HostCodeMayNotTouchWhatIsNotWaitedFor) {
  for (const bool wait : {true, false}) {
    for (int i = 0; i < 10; ++i) {
      Arrays x;
      float* page = nullptr;
      must(cudaMallocHost(&page, kCount * sizeof(float)));
      const Stream stream;
      must(cudaMemcpyAsync(page, x.a.data(), kCount * sizeof(float), cudaMemcpyDeviceToHost,
                           stream.handle()));
      if (wait) must(stream.wait());
      const float value = read_on_host(page + 17);
      if (wait) {
        EXPECT_EQ(value, 1.0f);
      }
      EXPECT_EQ(faults_now().size(), wait ? 0u : 1u);
      must(cudaFreeHost(page));
    }
  }
}

TEST(Streams, HostCodeMayNotTouchDeviceMemory) {
  Arrays x;
  must(cudaDeviceSynchronize());
  read_on_host(x.a.data());
  const auto reports = faults_now();
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_NE(reports[0].find("device memory"), std::string::npos) << reports[0];
}

TEST(Memory, CopiesOfWhatWasNeverWrittenAndFreedMemoryAreReported) {
  const Stream stream;
  {
    DeviceArray<float> never(kCount), to(kCount);
    cudaMemcpyAsync(to.data(), never.data(), 16, cudaMemcpyDeviceToDevice, stream.handle());
    const auto reports = faults_now();
    ASSERT_EQ(reports.size(), 1u);
    EXPECT_NE(reports[0].find("never written"), std::string::npos) << reports[0];
  }
  Arrays x;
  float* freed = nullptr;
  must(cudaMalloc(&freed, kCount * sizeof(float)));
  must(cudaMemset(freed, 0, kCount * sizeof(float)));
  must(cudaFree(freed));
  EXPECT_EQ(cudaFree(freed), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemsetAsync(freed, 0, 4, stream.handle()), cudaErrorInvalidValue);
  try {
    add(x.a.data(), freed, x.b.data(), kCount, stream.handle());
  } catch (const std::runtime_error&) {
  }
  const auto reports = faults_now();
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_NE(reports[0].find("freed memory"), std::string::npos) << reports[0];
}

TEST(Memory, TheDeviceIsFullAtItsSize) {
  size_t free = 0, total = 0;
  must(cudaMemGetInfo(&free, &total));
  char* p = nullptr;
  EXPECT_EQ(cudaMalloc(&p, free + 1), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST(Memory, AnArenasTensorsHaveBoundsOfTheirOwn) {
  DeviceArray<float> arena(std::vector<float>(kCount, 1));
  emulate::annotate(arena.data() + 100, 400, "x");
  const Stream stream;
  Arrays y;
  try {
    add(y.a.data(), arena.data(), y.b.data(), 200, stream.handle());
  } catch (const std::runtime_error&) {
  }
  const auto reports = faults_now();
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_NE(reports[0].find(" at x + "), std::string::npos) << reports[0];
  EXPECT_NE(reports[0].find("never written"), std::string::npos) << reports[0];
}

// ---- capture ----

struct Capture {
  Stream stream;
  Capture() { must(cudaStreamBeginCapture(stream.handle(), cudaStreamCaptureModeGlobal)); }
  cudaError_t end() const {
    cudaGraph_t graph = nullptr;
    const cudaError_t status = cudaStreamEndCapture(stream.handle(), &graph);
    if (graph != nullptr) must(cudaGraphDestroy(graph));
    cudaGetLastError();
    return status;
  }
};

TEST(Capture, ReplaysInAnyLawfulOrder) {
  Arrays x;
  const Stream main, side;
  const Event fork, joined;
  must(cudaStreamBeginCapture(main.handle(), cudaStreamCaptureModeGlobal));
  must(cudaEventRecord(fork.handle(), main.handle()));
  must(cudaStreamWaitEvent(side.handle(), fork.handle()));
  add(x.c.data(), x.c.data(), x.a.data(), kCount, side.handle());
  add(x.d.data(), x.a.data(), x.b.data(), kCount, main.handle());
  must(cudaEventRecord(joined.handle(), side.handle()));
  must(cudaStreamWaitEvent(main.handle(), joined.handle()));
  add(x.d.data(), x.d.data(), x.c.data(), kCount, main.handle());
  cudaGraph_t graph = nullptr;
  must(cudaStreamEndCapture(main.handle(), &graph));
  EXPECT_EQ(x.d.read(main), std::vector<float>(kCount, 0));  // captured, not run
  cudaGraphExec_t exec = nullptr;
  must(cudaGraphInstantiate(&exec, graph));
  for (int i = 1; i <= 5; ++i) {
    must(cudaGraphLaunch(exec, main.handle()));
    EXPECT_EQ(x.d.read(main), std::vector<float>(kCount, 3 + static_cast<float>(i)));
  }
  must(cudaGraphExecDestroy(exec));
  must(cudaGraphDestroy(graph));
  EXPECT_TRUE(faults_now().empty());
}

TEST(Capture, AMissingJoinInsideAGraphIsReported) {
  for (int i = 0; i < 10; ++i) {
    Arrays x;
    const Stream main, side;
    const Event fork, joined;
    must(cudaStreamBeginCapture(main.handle(), cudaStreamCaptureModeGlobal));
    must(cudaEventRecord(fork.handle(), main.handle()));
    must(cudaStreamWaitEvent(side.handle(), fork.handle()));
    add(x.c.data(), x.a.data(), x.b.data(), kCount, side.handle());
    add(x.d.data(), x.c.data(), x.b.data(), kCount, main.handle());  // too early
    must(cudaEventRecord(joined.handle(), side.handle()));
    must(cudaStreamWaitEvent(main.handle(), joined.handle()));
    cudaGraph_t graph = nullptr;
    must(cudaStreamEndCapture(main.handle(), &graph));
    cudaGraphExec_t exec = nullptr;
    must(cudaGraphInstantiate(&exec, graph));
    cudaGraphLaunch(exec, main.handle());
    EXPECT_EQ(faults_now().size(), 1u);
    must(cudaGraphExecDestroy(exec));
    must(cudaGraphDestroy(graph));
  }
}

TEST(Capture, RefusesWhatTheRealOneRefuses) {
  Arrays x;
  std::vector<float> pageable(kCount);
  float* p = nullptr;
  const Event before;
  const Stream other;
  must(cudaEventRecord(before.handle(), other.handle()));
  struct Refusal {
    const char* what;
    cudaError_t want;
    std::function<cudaError_t(cudaStream_t)> call;
  };
  const size_t bytes = kCount * sizeof(float);
  const std::vector<Refusal> refusals = {
      {"cudaStreamSynchronize", cudaErrorStreamCaptureUnsupported, cudaStreamSynchronize},
      {"cudaStreamQuery", cudaErrorStreamCaptureUnsupported, cudaStreamQuery},
      {"cudaDeviceSynchronize", cudaErrorStreamCaptureUnsupported,
       [](cudaStream_t) { return cudaDeviceSynchronize(); }},
      {"cudaMalloc", cudaErrorStreamCaptureUnsupported,
       [&](cudaStream_t) { return cudaMalloc(&p, 64); }},
      {"cudaFree", cudaErrorStreamCaptureUnsupported,
       [&](cudaStream_t) { return cudaFree(x.a.data()); }},
      {"cudaMallocHost", cudaErrorStreamCaptureUnsupported,
       [&](cudaStream_t) { return cudaMallocHost(&p, 64); }},
      {"cudaMemcpy", cudaErrorStreamCaptureImplicit,
       [&](cudaStream_t) {
         return cudaMemcpy(x.a.data(), x.b.data(), bytes, cudaMemcpyDeviceToDevice);
       }},
      {"the legacy stream", cudaErrorStreamCaptureImplicit,
       [&](cudaStream_t) { return cudaMemsetAsync(x.a.data(), 0, bytes, nullptr); }},
      {"pageable memory", cudaErrorStreamCaptureUnsupported,
       [&](cudaStream_t s) {
         return cudaMemcpyAsync(x.a.data(), pageable.data(), bytes, cudaMemcpyHostToDevice, s);
       }},
      {"an event recorded before", cudaErrorStreamCaptureIsolation,
       [&](cudaStream_t s) { return cudaStreamWaitEvent(s, before.handle()); }},
      {"an event's query", cudaErrorCapturedEvent,
       [](cudaStream_t s) {
         const Event event;
         must(cudaEventRecord(event.handle(), s));
         return cudaEventQuery(event.handle());
       }},
  };
  for (const Refusal& r : refusals) {
    const Capture capture;
    EXPECT_EQ(r.call(capture.stream.handle()), r.want) << r.what;
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    must(cudaStreamIsCapturing(capture.stream.handle(), &status));
    const bool lost =
        r.want != cudaErrorStreamCaptureUnsupported || std::string(r.what) != "pageable memory";
    EXPECT_EQ(status, lost ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive)
        << r.what;
    EXPECT_EQ(capture.end(), lost ? cudaErrorStreamCaptureInvalidated : cudaSuccess) << r.what;
  }
  const Capture fine;
  EXPECT_EQ(cudaMemsetAsync(x.a.data(), 0, bytes, fine.stream.handle()), cudaSuccess);
  EXPECT_EQ(fine.end(), cudaSuccess);
  EXPECT_TRUE(faults_now().empty());
}

TEST(Capture, RefusesABranchThatDoesNotComeBack) {
  const Capture capture;
  const Stream side;
  const Event fork;
  must(cudaEventRecord(fork.handle(), capture.stream.handle()));
  must(cudaStreamWaitEvent(side.handle(), fork.handle()));
  must(cudaLaunchHostFunc(
      side.handle(), [](void*) {}, nullptr));
  EXPECT_EQ(capture.end(), cudaErrorStreamCaptureUnjoined);
}

}  // namespace
}  // namespace nibble::emulate_test
