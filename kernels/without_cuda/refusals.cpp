// SPDX-License-Identifier: Apache-2.0
// What programs without CUDA link in place of kernels/cuda/ and the .cu files: all of it throws.
#include "base/error.h"
#include "kernels/cuda/twins.h"
#include "tensor/cuda.h"

namespace nibble {
namespace {

[[noreturn]] void refuse() {
  throw UnavailableError("this program was built without CUDA");
}

}  // namespace

namespace cuda {

#define NIBBLE_REFUSE_TWIN(name, Op) \
  void name(const Op&, Stream) {     \
    refuse();                        \
  }
NIBBLE_CUDA_TWINS(NIBBLE_REFUSE_TWIN)

bool built() {
  return false;
}
void check_device(int) {
  refuse();
}
DeviceFacts device_facts(int) {
  refuse();
}
size_t memory_in_use(int) {
  refuse();
}
void use_device(int) {
  refuse();
}
void* allocate(size_t, int) {
  refuse();
}
void release(void*) noexcept {}
void* allocate_pinned(size_t) {
  refuse();
}
void release_pinned(void*) noexcept {}
void copy(void*, const void*, size_t, Stream) {
  refuse();
}
void zero(void*, size_t, Stream) {
  refuse();
}
void synchronize(Stream) {
  refuse();
}
Stream create_stream(int, Sums, void*) {
  refuse();
}
bool on_wgmma(Stream) {
  refuse();
}
Stream create_copy_stream(int) {
  refuse();
}
void destroy_stream(Stream) noexcept {}
Event create_event(int) {
  refuse();
}
void destroy_event(Event) noexcept {}
void record(Event, Stream) {
  refuse();
}
void wait(Stream, Event) {
  refuse();
}
void wait(Event) {
  refuse();
}
void begin_capture(Stream) {
  refuse();
}
Graph end_capture(Stream) {
  refuse();
}
void abandon_capture(Stream) noexcept {}
void launch_graph(Graph, Stream) {
  refuse();
}
void destroy_graph(Graph) noexcept {}

}  // namespace cuda
}  // namespace nibble
