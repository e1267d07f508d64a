// SPDX-License-Identifier: Apache-2.0
#include "fit/machine.h"

#include <dlfcn.h>

#include <fstream>
#include <memory>

namespace nibble {
namespace {

// Of NVML's interface (nvml.h), what is needed: every call returns 0 for success.
using Device = void*;
struct Memory {
  unsigned long long total, free, used;
};

class Nvml {
 public:
  Nvml() : library_(::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)) {
    if (!library_) return;
    const auto init = find<int (*)()>("nvmlInit_v2");
    ready_ = init && init() == 0;
  }
  ~Nvml() {
    if (ready_)
      if (const auto shutdown = find<int (*)()>("nvmlShutdown")) shutdown();
    if (library_) ::dlclose(library_);
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  std::vector<DetectedGpu> devices() const {
    std::vector<DetectedGpu> out;
    const auto count_of = find<int (*)(unsigned*)>("nvmlDeviceGetCount_v2");
    const auto device_at = find<int (*)(unsigned, Device*)>("nvmlDeviceGetHandleByIndex_v2");
    const auto name_of = find<int (*)(Device, char*, unsigned)>("nvmlDeviceGetName");
    const auto memory_of = find<int (*)(Device, Memory*)>("nvmlDeviceGetMemoryInfo");
    unsigned count = 0;
    if (!ready_ || !count_of || !device_at || !name_of || !memory_of || count_of(&count) != 0)
      return out;
    for (unsigned i = 0; i < count; ++i) {
      Device device = nullptr;
      char name[96] = {};
      Memory memory{};
      if (device_at(i, &device) != 0 || name_of(device, name, sizeof name) != 0 ||
          memory_of(device, &memory) != 0)
        continue;
      out.push_back({name, memory.total, memory.free});
    }
    return out;
  }

 private:
  template <class F>
  F find(const char* name) const {
    return library_ ? reinterpret_cast<F>(::dlsym(library_, name)) : nullptr;
  }
  void* library_;
  bool ready_ = false;
};

}  // namespace

std::vector<DetectedGpu> detect_gpus() {
  return Nvml().devices();
}

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name"))
      if (const size_t at = line.find(": "); at != line.npos) return line.substr(at + 2);
  return "CPU";
}

}  // namespace nibble
