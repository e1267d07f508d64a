// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "base/error.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/queue.h"
#include "kernels/cuda/wgmma_check.h"
#include "tensor/cuda.h"

namespace nibble::cuda {
namespace {

constexpr int kLeastMajor = 8;  // bf16 and cp.async came with sm_80

// Work can always go without a graph of it, unless what was recorded is at fault.
void check_recorded(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // told here, and not by the next launch
  if (status >= cudaErrorStreamCaptureUnsupported && status <= cudaErrorStreamCaptureWrongThread)
    throw_status(status, what);
  throw UnavailableError(
      cat(what, ": ", cudaGetErrorString(status), " (", cudaGetErrorName(status), ")"));
}

}  // namespace

bool built() {
  return true;
}

void check_device(int index) {
  int count = 0;
  switch (const cudaError_t status = cudaGetDeviceCount(&count)) {
    case cudaSuccess:
      break;
    case cudaErrorNoDevice:
      throw UnavailableError("there is no CUDA device");
    case cudaErrorInsufficientDriver: {
      int driver = 0, runtime = 0;
      cudaDriverGetVersion(&driver);
      cudaRuntimeGetVersion(&runtime);
      if (driver == 0) throw UnavailableError("there is no CUDA driver");
      throw UnavailableError(cat("the driver is for CUDA ", driver / 1000, ".", driver % 1000 / 10,
                                 ", this build needs ", runtime / 1000, ".", runtime % 1000 / 10));
    }
    default:
      throw UnavailableError(cudaGetErrorString(status));
  }
  if (index >= count) throw UnavailableError(cat("there are ", count, " CUDA devices, from 0 on"));
  cudaDeviceProp facts{};
  check(cudaGetDeviceProperties(&facts, index), "cudaGetDeviceProperties");
  if (facts.major < kLeastMajor)
    throw UnavailableError(cat(facts.name, " has compute capability ", facts.major, ".",
                               facts.minor, "; 8.0 (Ampere) is the least"));
}

DeviceFacts device_facts(int index) {
  cudaDeviceProp p{};
  check(cudaGetDeviceProperties(&p, index), "cudaGetDeviceProperties");
  DeviceFacts facts{.name = p.name,
                    .major = p.major,
                    .minor = p.minor,
                    .multiprocessors = p.multiProcessorCount,
                    .memory = p.totalGlobalMem};
  use_device(index);
  size_t total = 0;
  check(cudaMemGetInfo(&facts.free, &total), "cudaMemGetInfo");
  return facts;
}

size_t memory_in_use(int index) {
  use_device(index);
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return total - free;
}

void use_device(int index) {
  check(cudaSetDevice(index), "cudaSetDevice");
}

void* allocate(size_t bytes, int device) {
  use_device(device);
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  size_t free = 0, total = 0;
  if (status == cudaErrorMemoryAllocation && cudaMemGetInfo(&free, &total) == cudaSuccess) {
    cudaGetLastError();  // told here, and not by the next launch
    throw MemoryError(
        cat("cuda:", device, ": ", ((bytes - 1) >> 20) + 1, " MiB are needed, ", free >> 20, " of ",
            total >> 20,
            " MiB are free; stop what else runs there (nvidia-smi), take another with "
            "--device=cuda:N, or ask for less"));
  }
  check(status, "device memory");
  return memory;
}

void release(void* memory) noexcept {
  cudaFree(memory);
}

void* allocate_pinned(size_t bytes) {
  void* memory = nullptr;
  const cudaError_t status = cudaMallocHost(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw MemoryError(cat("the host cannot pin ", ((bytes - 1) >> 20) + 1,
                          " MiB of its memory; free some, or keep more on the device"));
  }
  check(status, "pinned host memory");
  return memory;
}

void release_pinned(void* memory) noexcept {
  cudaFreeHost(memory);
}

void copy(void* to, const void* from, size_t bytes, Stream stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, queue(stream).stream), "copy");
}

void zero(void* memory, size_t bytes, Stream stream) {
  check(cudaMemsetAsync(memory, 0, bytes, queue(stream).stream), "zero");
}

void synchronize(Stream stream) {
  check(cudaStreamSynchronize(queue(stream).stream), "synchronize");
}

Stream create_stream(int device, Sums sums, void* room) {
  use_device(device);
  const Stream stream{.device = {DeviceKind::kCuda, device},
                      .handle = new Queue{.device = device, .sums = sums}};
  try {
    Queue& q = queue(stream);
    check(cudaStreamCreateWithFlags(&q.stream, cudaStreamNonBlocking), "stream");
    q.workspace = room;
    q.partial_sums =
        reinterpret_cast<double*>(static_cast<std::byte*>(room) + kCublasWorkspaceBytes);
    q.result = static_cast<double*>(allocate_pinned(sizeof(double)));
    int bytes = 0;
    check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
          "cudaDeviceGetAttribute");
    q.most_shared = static_cast<size_t>(bytes);
    q.wgmma = wgmma_usable(stream);
  } catch (...) {
    destroy_stream(stream);
    throw;
  }
  return stream;
}

bool on_wgmma(Stream stream) {
  return queue(stream).wgmma;
}

Stream create_copy_stream(int device) {
  use_device(device);
  auto copies = std::make_unique<Queue>(Queue{.device = device});
  check(cudaStreamCreateWithFlags(&copies->stream, cudaStreamNonBlocking), "stream");
  return {.device = {DeviceKind::kCuda, device}, .handle = copies.release()};
}

void destroy_stream(Stream stream) noexcept {
  const std::unique_ptr<Queue> q(static_cast<Queue*>(stream.handle));
  if (q->stream) {
    cudaStreamSynchronize(q->stream);
    cudaStreamDestroy(q->stream);
  }
  if (q->result) cudaFreeHost(q->result);
}

Event create_event(int device) {
  use_device(device);
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "event");
  return event;
}

void destroy_event(Event event) noexcept {
  cudaEventDestroy(static_cast<cudaEvent_t>(event));
}

void record(Event event, Stream stream) {
  check(cudaEventRecord(static_cast<cudaEvent_t>(event), queue(stream).stream), "event record");
}

void wait(Stream stream, Event event) {
  check(cudaStreamWaitEvent(queue(stream).stream, static_cast<cudaEvent_t>(event), 0),
        "event wait");
}

void wait(Event event) {
  check(cudaEventSynchronize(static_cast<cudaEvent_t>(event)), "event wait");
}

void begin_capture(Stream stream) {
  check_recorded(cudaStreamBeginCapture(queue(stream).stream, cudaStreamCaptureModeThreadLocal),
                 "graph capture");
}

Graph end_capture(Stream stream) {
  cudaGraph_t graph = nullptr;
  check_recorded(cudaStreamEndCapture(queue(stream).stream, &graph), "graph capture");
  cudaGraphExec_t exec = nullptr;
  const cudaError_t status = cudaGraphInstantiate(&exec, graph, 0);
  cudaGraphDestroy(graph);
  check_recorded(status, "graph instantiation");
  return exec;
}

void abandon_capture(Stream stream) noexcept {
  cudaGraph_t graph = nullptr;
  cudaStreamEndCapture(queue(stream).stream, &graph);
  if (graph) cudaGraphDestroy(graph);
  cudaGetLastError();  // the failure was told already
}

void launch_graph(Graph graph, Stream stream) {
  check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), queue(stream).stream), "graph launch");
}

void destroy_graph(Graph graph) noexcept {
  cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph));
}

}  // namespace nibble::cuda
