// SPDX-License-Identifier: Apache-2.0
// Where a tensor lives and what computes. A Stream is an ordered queue of work on a device; on the
// CPU work is done before the call returns and the handle is null.
#pragma once

#include <string>
#include <string_view>

namespace nibble {

enum class DeviceKind : unsigned char { kCpu, kCuda };

struct Device {
  DeviceKind kind = DeviceKind::kCpu;
  int index = 0;
  bool on_cuda() const { return kind == DeviceKind::kCuda; }
  bool operator==(const Device&) const = default;
};

struct Stream {
  Device device;
  void* handle = nullptr;
};

/// The stream that ops of this thread go to where none is named: the CPU, or what the innermost
/// StreamScope says.
Stream current_stream();

class StreamScope {
 public:
  explicit StreamScope(Stream stream);
  ~StreamScope();
  StreamScope(const StreamScope&) = delete;
  StreamScope& operator=(const StreamScope&) = delete;

 private:
  Stream before_;
};

/// "cpu", "cuda", "cuda:1"; throws UsageError on anything else, and UnavailableError for cuda where
/// this build, the driver or the machine has none such. Never falls back from cuda to cpu.
Device parse_device(std::string_view text);
std::string device_name(const Device& device);

}  // namespace nibble
