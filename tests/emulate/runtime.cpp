// SPDX-License-Identifier: Apache-2.0
// The rest of the runtime API: the device, memory, copies, launches. One device, an sm_90 of
// NIBBLE_EMULATE_MEMORY bytes; NIBBLE_EMULATE_DEVICES=0 takes it away, NIBBLE_EMULATE_FAULT=driver
// makes the driver too old, =no-driver none, =busy the device another's; =launch:N breaks the N-th
// launch when it runs, and =copy:N the N-th copy; =allocation:N has no memory of the device for the
// N-th that asks; =capture refuses to record a graph, =instantiate to make one of what was
// recorded; =ampere makes it an sm_80, and =wgmma one whose wgmma computes something else.
#include <emulate/launch.h>

#include <climits>
#include <cstdlib>
#include <cstring>
#include <map>

#include "launch_job.h"
#include "memory.h"
#include "report.h"
#include "streams.h"
#include "worker.h"

namespace nibble::emulate {
namespace {

using Lock = std::lock_guard<std::recursive_mutex>;

constexpr size_t kSharedUnasked = size_t{48} << 10;
constexpr int kProcessors = 132, kRegisters = 65536, kL2Bytes = 50 << 20;
constexpr size_t kSharedOfProcessor = size_t{228} << 10;

struct NameOf {
  cudaError_t status;
  const char* name;
  const char* text;
};
constexpr NameOf kNames[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorInvalidPitchValue, "cudaErrorInvalidPitchValue", "invalid pitch argument"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection",
     "invalid copy direction for memcpy"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorDevicesUnavailable, "cudaErrorDevicesUnavailable",
     "CUDA-capable device(s) is/are busy or unavailable"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorIllegalState, "cudaErrorIllegalState",
     "the operation cannot be performed in the present state"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress",
     "an illegal memory access was encountered"},
    {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources",
     "too many resources requested for launch"},
    {cudaErrorHostMemoryAlreadyRegistered, "cudaErrorHostMemoryAlreadyRegistered",
     "part or all of the requested memory range is already mapped"},
    {cudaErrorHostMemoryNotRegistered, "cudaErrorHostMemoryNotRegistered",
     "pointer does not correspond to a registered memory region"},
    {cudaErrorMisalignedAddress, "cudaErrorMisalignedAddress", "misaligned address"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureMerge, "cudaErrorStreamCaptureMerge",
     "operation would result in a merge of separate capture sequences"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched",
     "capture was not ended in the same stream as it began"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined",
     "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
    {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
     "operation not permitted on an event last recorded in a capturing stream"},
    {cudaErrorGraphExecUpdateFailure, "cudaErrorGraphExecUpdateFailure",
     "the graph update was not performed because it included changes which violated constraints"},
};

const NameOf& name_of(cudaError_t status) {
  static constexpr NameOf kUnknown = {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"};
  for (const NameOf& n : kNames) {
    if (n.status == status) return n;
  }
  return kUnknown;
}

int devices() {
  const char* text = getenv("NIBBLE_EMULATE_DEVICES");
  return text == nullptr ? 1 : atoi(text);
}

// Whether this is the launch or copy that the test wants to fail.
bool breaks(const char* what, uint64_t number) {
  return faulty((std::string(what) + ":" + std::to_string(number)).c_str());
}

// What every call finds first: a driver, a device, no earlier fault.
cudaError_t usable() {
  if (faulty("driver") || faulty("no-driver")) return cudaErrorInsufficientDriver;
  if (devices() == 0) return cudaErrorNoDevice;
  if (faulty("busy")) return cudaErrorDevicesUnavailable;
  return sticky_status();
}

std::map<const void*, int>& shared_granted() {
  static std::map<const void*, int> granted;
  return granted;
}

enum class Where { kDevice, kPinned, kPageable, kNowhere };
Where where(const void* p, size_t bytes) {
  if (!heap.holds(p)) return registered(p, bytes) ? Where::kPinned : Where::kPageable;
  const Place place = find_allocation(p, bytes);
  if (!place.live || !place.within) return Where::kNowhere;
  return place.kind == Kind::kDevice ? Where::kDevice : Where::kPinned;
}

bool direction_fits(cudaMemcpyKind kind, Where to, Where from) {
  const bool to_device = to == Where::kDevice, from_device = from == Where::kDevice;
  switch (kind) {
    case cudaMemcpyHostToHost:
      return !to_device && !from_device;
    case cudaMemcpyHostToDevice:
      return to_device && !from_device;
    case cudaMemcpyDeviceToHost:
      return !to_device && from_device;
    case cudaMemcpyDeviceToDevice:
      return to_device && from_device;
    case cudaMemcpyDefault:
      return true;
  }
  return false;
}

struct Rows {
  char* to;
  size_t to_pitch;
  const char* from;
  size_t from_pitch, width, height;
};

cudaError_t copy(const Rows& r, cudaMemcpyKind kind, cudaStream_t stream) {
  if (const cudaError_t status = usable()) return status;
  if (r.width == 0 || r.height == 0) return cudaSuccess;
  const size_t to_bytes = (r.height - 1) * r.to_pitch + r.width,
               from_bytes = (r.height - 1) * r.from_pitch + r.width;
  const Where to = where(r.to, to_bytes), from = where(r.from, from_bytes);
  if (to == Where::kNowhere || from == Where::kNowhere) return cudaErrorInvalidValue;
  if (!direction_fits(kind, to, from)) return cudaErrorInvalidMemcpyDirection;
  const bool pageable = to == Where::kPageable || from == Where::kPageable;
  if (pageable && capturing(stream)) return cudaErrorStreamCaptureUnsupported;
  Work work{.name = "copy of " + std::to_string(r.width * r.height) + " bytes", .counted = "copy"};
  if (from != Where::kDevice) work.host.push_back({r.from, from_bytes, false});
  if (to != Where::kDevice) work.host.push_back({r.to, to_bytes, true});
  Rows rows = r;
  std::shared_ptr<std::vector<char>> staged;
  if (from == Where::kPageable && !bodies_skipped()) {
    // Pageable memory is staged before the call returns.
    staged = std::make_shared<std::vector<char>>(r.from, r.from + from_bytes);
    rows.from = staged->data();
    work.host.clear();
  }
  static uint64_t count = 0;
  work.run = [rows, staged, broken = breaks("copy", ++count)] {
    if (broken) return break_device(cudaErrorLaunchFailure);
    for (size_t y = 0; y < rows.height; ++y) {
      char* to_row = rows.to + y * rows.to_pitch;
      const char* from_row = rows.from + y * rows.from_pitch;
      if (!check_range(from_row, rows.width, false) || !check_range(to_row, rows.width, true)) {
        return;
      }
      memmove(to_row, from_row, rows.width);
    }
  };
  if (const cudaError_t status = enqueue(stream, std::move(work))) return status;
  return to == Where::kPageable ? synchronize(stream) : cudaSuccess;
}

}  // namespace

cudaError_t allocate_device(void** p, size_t bytes) {
  const Lock lock(api_mutex());
  if (const cudaError_t status = usable()) return note(status);
  if (const cudaError_t status = refuse_in_capture()) return note(status);
  if (p == nullptr) return note(cudaErrorInvalidValue);
  *p = nullptr;
  if (bytes == 0) return cudaSuccess;
  static uint64_t count = 0;
  if (breaks("allocation", ++count)) return note(cudaErrorMemoryAllocation);
  *p = allocate(bytes, Kind::kDevice);
  return *p == nullptr ? note(cudaErrorMemoryAllocation) : cudaSuccess;
}

cudaError_t allocate_host(void** p, size_t bytes, unsigned) {
  const Lock lock(api_mutex());
  if (const cudaError_t status = usable()) return note(status);
  if (const cudaError_t status = refuse_in_capture()) return note(status);
  if (p == nullptr) return note(cudaErrorInvalidValue);
  *p = bytes == 0 ? nullptr : allocate(bytes, Kind::kPinned);
  return bytes != 0 && *p == nullptr ? note(cudaErrorMemoryAllocation) : cudaSuccess;
}

cudaError_t host_device_pointer(void** device, void* host, unsigned flags) {
  const Lock lock(api_mutex());
  if (device == nullptr || flags != 0 || where(host, 1) != Where::kPinned) {
    return note(cudaErrorInvalidValue);
  }
  *device = host;
  return cudaSuccess;
}

cudaError_t set_function_attribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  const Lock lock(api_mutex());
  if (const cudaError_t status = usable()) return note(status);
  if (kernel == nullptr) return note(cudaErrorInvalidDeviceFunction);
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) {
    return value < -1 || value > 100 ? note(cudaErrorInvalidValue) : cudaSuccess;
  }
  if (value < 0 || static_cast<size_t>(value) > kMaxShared) return note(cudaErrorInvalidValue);
  shared_granted()[kernel] = value;
  return cudaSuccess;
}

cudaError_t function_attributes(cudaFuncAttributes* attributes, const void* kernel) {
  const Lock lock(api_mutex());
  if (attributes == nullptr || kernel == nullptr) return note(cudaErrorInvalidValue);
  *attributes = {};
  attributes->maxThreadsPerBlock = kMaxThreads;
  attributes->numRegs = 64;
  attributes->ptxVersion = attributes->binaryVersion = 90;
  const auto granted = shared_granted().find(kernel);
  attributes->maxDynamicSharedSizeBytes =
      granted == shared_granted().end() ? static_cast<int>(kSharedUnasked) : granted->second;
  return cudaSuccess;
}

cudaError_t occupancy(int* blocks, const void* kernel, int threads, size_t shared_bytes) {
  if (blocks == nullptr || kernel == nullptr || threads < 1) return note(cudaErrorInvalidValue);
  const size_t by_shared = kSharedOfProcessor / (shared_bytes + 1024);
  *blocks = static_cast<int>(
      std::min({size_t{32}, size_t{2048} / static_cast<size_t>(threads), by_shared}));
  return cudaSuccess;
}

cudaError_t launch_kernel(const KernelLaunch& launch, const void* arguments, size_t bytes,
                          void (*call)(const void*, const void*)) {
  const Lock lock(api_mutex());
  if (const cudaError_t status = usable()) return note(status);
  const dim3 &g = launch.grid, &b = launch.block;
  const auto threads = uint64_t{b.x} * b.y * b.z;
  if (g.x == 0 || g.y == 0 || g.z == 0 || threads == 0 || threads > kMaxThreads || b.z > 64 ||
      g.x > INT_MAX || g.y > 65535 || g.z > 65535) {
    return note(cudaErrorInvalidConfiguration);
  }
  size_t granted = kSharedUnasked;
  const auto found = shared_granted().find(launch.kernel);
  if (found != shared_granted().end()) {
    granted = std::max(granted, static_cast<size_t>(found->second));
  }
  if (launch.shared_bytes > granted) return note(cudaErrorInvalidValue);
  static uint64_t count = 0;
  auto job = std::make_shared<Job>();
  job->launch = launch;
  const auto* first = static_cast<const std::byte*>(arguments);
  job->arguments.assign(first, first + bytes);
  job->call = call;
  job->seed = seed() * 0x2545f4914f6cdd1du + ++count;
  return note(enqueue(launch.stream, {.name = launch.name,
                                      .run =
                                          [job, broken = breaks("launch", count)] {
                                            if (broken) return break_device(cudaErrorLaunchFailure);
                                            job->seed += 0x9e3779b97f4a7c15u;
                                            job->failed = false;
                                            job->released.clear();
                                            run_job(*job);
                                          },
                                      .kernel = launch.kernel,
                                      .counted = launch.name}));
}

}  // namespace nibble::emulate

using namespace nibble::emulate;

extern "C" {

const char* cudaGetErrorName(cudaError_t status) {
  return name_of(status).name;
}
const char* cudaGetErrorString(cudaError_t status) {
  return name_of(status).text;
}

cudaError_t cudaGetDeviceCount(int* count) {
  if (count == nullptr) return note(cudaErrorInvalidValue);
  *count = 0;
  if (faulty("driver") || faulty("no-driver")) return note(cudaErrorInsufficientDriver);
  if (devices() == 0) return note(cudaErrorNoDevice);
  *count = devices();
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (const cudaError_t status = usable()) return note(status);
  return device < 0 || device >= devices() ? note(cudaErrorInvalidDevice) : cudaSuccess;
}
cudaError_t cudaInitDevice(int device, unsigned, unsigned) {
  return cudaSetDevice(device);
}

cudaError_t cudaGetDevice(int* device) {
  if (device == nullptr) return note(cudaErrorInvalidValue);
  *device = 0;
  return note(usable());
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  if (p == nullptr) return note(cudaErrorInvalidValue);
  if (device < 0 || device >= devices()) return note(cudaErrorInvalidDevice);
  *p = {};
  strcpy(p->name, "emulated on the CPU");
  p->totalGlobalMem = device_bytes();
  p->sharedMemPerBlock = kSharedUnasked;
  p->sharedMemPerBlockOptin = kMaxShared;
  p->sharedMemPerMultiprocessor = kSharedOfProcessor;
  p->regsPerBlock = p->regsPerMultiprocessor = kRegisters;
  p->warpSize = kWarp;
  p->maxThreadsPerBlock = kMaxThreads;
  p->maxThreadsPerMultiProcessor = 2048;
  p->major = faulty("old-device") ? 7 : faulty("ampere") ? 8 : 9;
  p->multiProcessorCount = kProcessors;
  p->l2CacheSize = kL2Bytes;
  p->memoryBusWidth = 5120;
  p->asyncEngineCount = 3;
  p->canMapHostMemory = 1;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp p;
  if (value == nullptr) return note(cudaErrorInvalidValue);
  if (const cudaError_t status = cudaGetDeviceProperties(&p, device)) return status;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = p.maxThreadsPerBlock;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = static_cast<int>(p.sharedMemPerBlock);
      break;
    case cudaDevAttrMaxRegistersPerBlock:
      *value = p.regsPerBlock;
      break;
    case cudaDevAttrClockRate:
      *value = 1980000;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = p.multiProcessorCount;
      break;
    case cudaDevAttrMemoryClockRate:
      *value = 2619000;
      break;
    case cudaDevAttrGlobalMemoryBusWidth:
      *value = p.memoryBusWidth;
      break;
    case cudaDevAttrL2CacheSize:
      *value = p.l2CacheSize;
      break;
    case cudaDevAttrAsyncEngineCount:
      *value = p.asyncEngineCount;
      break;
    case cudaDevAttrUnifiedAddressing:
      *value = 1;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = p.major;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = p.minor;
      break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = static_cast<int>(p.sharedMemPerMultiprocessor);
      break;
    case cudaDevAttrCanUseHostPointerForRegisteredMem:
      *value = 1;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(p.sharedMemPerBlockOptin);
      break;
    case cudaDevAttrHostRegisterSupported:
      *value = 1;
      break;
    default:
      return note(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = faulty("no-driver") ? 0 : faulty("driver") ? 11000 : 13000;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  const Lock lock(api_mutex());
  if (const cudaError_t status = usable()) return note(status);
  return note(synchronize_all());
}
cudaError_t cudaDeviceReset() {
  return cudaDeviceSynchronize();
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  if (const cudaError_t status = usable()) return note(status);
  *total = device_bytes();
  *free = device_bytes() - device_bytes_used();
  return cudaSuccess;
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  if (least != nullptr) *least = 0;
  if (greatest != nullptr) *greatest = -5;
  return cudaSuccess;
}

cudaError_t cudaFree(void* p) {
  const Lock lock(api_mutex());
  if (p == nullptr) return cudaSuccess;
  if (const cudaError_t status = refuse_in_capture()) return note(status);
  const cudaError_t status = synchronize_all();
  return release(p, Kind::kDevice) ? status : note(cudaErrorInvalidValue);
}

cudaError_t cudaFreeHost(void* p) {
  const Lock lock(api_mutex());
  if (p == nullptr) return cudaSuccess;
  if (const cudaError_t status = refuse_in_capture()) return note(status);
  const cudaError_t status = synchronize_all();
  return release(p, Kind::kPinned) ? status : note(cudaErrorInvalidValue);
}

cudaError_t cudaHostRegister(void* p, size_t bytes, unsigned) {
  const Lock lock(api_mutex());
  if (const cudaError_t status = usable()) return note(status);
  if (p == nullptr || bytes == 0) return note(cudaErrorInvalidValue);
  if (const cudaError_t status = refuse_in_capture()) return note(status);
  return register_host(p, bytes) ? cudaSuccess : note(cudaErrorHostMemoryAlreadyRegistered);
}

cudaError_t cudaHostUnregister(void* p) {
  const Lock lock(api_mutex());
  if (const cudaError_t status = refuse_in_capture()) return note(status);
  const cudaError_t status = synchronize_all();
  return unregister_host(p) ? status : note(cudaErrorHostMemoryNotRegistered);
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* p) {
  const Lock lock(api_mutex());
  if (attributes == nullptr) return note(cudaErrorInvalidValue);
  const Where place = where(p, 1);
  *attributes = {};
  attributes->type = place == Where::kDevice   ? cudaMemoryTypeDevice
                     : place == Where::kPinned ? cudaMemoryTypeHost
                                               : cudaMemoryTypeUnregistered;
  attributes->devicePointer = place == Where::kPageable ? nullptr : const_cast<void*>(p);
  attributes->hostPointer = place == Where::kDevice ? nullptr : const_cast<void*>(p);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const Lock lock(api_mutex());
  return note(copy({static_cast<char*>(to), bytes, static_cast<const char*>(from), bytes, bytes, 1},
                   kind, stream));
}

cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch,
                              size_t width, size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream) {
  const Lock lock(api_mutex());
  if (width > to_pitch || width > from_pitch) return note(cudaErrorInvalidPitchValue);
  return note(copy(
      {static_cast<char*>(to), to_pitch, static_cast<const char*>(from), from_pitch, width, height},
      kind, stream));
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  const Lock lock(api_mutex());
  const cudaError_t status =
      copy({static_cast<char*>(to), bytes, static_cast<const char*>(from), bytes, bytes, 1}, kind,
           cudaStreamLegacy);
  return note(status != cudaSuccess ? status : synchronize(cudaStreamLegacy));
}

cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t stream) {
  const Lock lock(api_mutex());
  if (const cudaError_t status = usable()) return note(status);
  if (bytes == 0) return cudaSuccess;
  const Where place = where(p, bytes);
  if (place == Where::kNowhere || place == Where::kPageable) return note(cudaErrorInvalidValue);
  Work work{.name = "fill of " + std::to_string(bytes) + " bytes", .counted = "fill"};
  if (place != Where::kDevice) work.host.push_back({p, bytes, true});
  work.run = [=] {
    if (check_range(p, bytes, true)) memset(p, value, bytes);
  };
  return note(enqueue(stream, std::move(work)));
}

cudaError_t cudaMemset(void* p, int value, size_t bytes) {
  return cudaMemsetAsync(p, value, bytes, cudaStreamLegacy);
}

}  // extern "C"
