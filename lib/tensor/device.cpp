// SPDX-License-Identifier: Apache-2.0
#include "tensor/device.h"

#include <charconv>

#include "base/error.h"
#include "tensor/cuda.h"

namespace nibble {
namespace {

thread_local Stream thread_stream;

}  // namespace

Stream current_stream() {
  return thread_stream;
}

StreamScope::StreamScope(Stream stream) : before_(thread_stream) {
  thread_stream = stream;
  if (stream.device.on_cuda()) cuda::use_device(stream.device.index);
}

StreamScope::~StreamScope() {
  thread_stream = before_;
}

Device parse_device(std::string_view text) {
  if (text == "cpu") return {};
  Device device{.kind = DeviceKind::kCuda};
  std::string_view rest = text;
  bool valid = rest.starts_with("cuda");
  if (valid) rest.remove_prefix(4);
  if (valid && !rest.empty()) {
    valid = rest.front() == ':' && rest.size() > 1;
    const auto [end, error] =
        std::from_chars(rest.data() + 1, rest.data() + rest.size(), device.index);
    valid = valid && error == std::errc() && end == rest.data() + rest.size() && device.index >= 0;
  }
  if (!valid) throw UsageError(cat("--device=", text, ": no such device; use cpu or cuda[:N]"));
  try {
    cuda::check_device(device.index);
  } catch (const UnavailableError& error) {
    throw UnavailableError(cat("--device=", text, ": ", error.what(), "; use --device=cpu"));
  }
  return device;
}

std::string device_name(const Device& device) {
  return device.kind == DeviceKind::kCpu ? "cpu" : cat("cuda:", device.index);
}

}  // namespace nibble
