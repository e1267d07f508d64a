// SPDX-License-Identifier: Apache-2.0
#include "streams.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "emulate.h"
#include "memory.h"
#include "report.h"

namespace {
using Clock = std::vector<uint32_t>;
using TimePoint = std::chrono::steady_clock::time_point;

struct Done {
  bool done = false;
  TimePoint when;
};

struct Node {
  nibble::emulate::Work work;
  std::vector<size_t> needs;
};

struct Capture {
  std::vector<Node> nodes;
  cudaStream_t origin = nullptr;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  bool lost = false;
  std::set<cudaStream_t> streams;
};

struct Task {
  nibble::emulate::Work work;
  std::function<void(const Task&)> replay;  // of a graph, in place of the work
  std::vector<std::shared_ptr<Done>> needs;
  std::shared_ptr<Done> done;
  std::shared_ptr<const Clock> clock;
  uint32_t sequence = 0;
};
}  // namespace

struct CUstream_st {
  uint32_t id = 0;
  bool blocking = true;
  std::deque<Task> queue;
  Clock clock;
  uint32_t sequence = 0;
  std::shared_ptr<Done> last;
  std::shared_ptr<Capture> capture;
  std::vector<size_t> tails;  // the nodes that its next one comes after
};

struct CUevent_st {
  bool timed = true;
  std::shared_ptr<Done> done;
  Clock clock;
  std::shared_ptr<Capture> capture;
  std::vector<size_t> tails;
};

struct CUgraph_st {
  std::vector<Node> nodes;
};

struct CUgraphExec_st {
  std::shared_ptr<const std::vector<Node>> nodes;
  std::shared_ptr<const std::vector<std::vector<bool>>> ancestors;
  std::shared_ptr<Done> last;
  Clock clock;
};

namespace nibble::emulate {
namespace {

struct State {
  std::recursive_mutex mutex;
  CUstream_st legacy;
  std::set<CUstream_st*> streams;
  std::set<CUevent_st*> events;
  std::set<CUgraph_st*> graphs;
  std::set<CUgraphExec_st*> execs;
  uint32_t next_stream = 1, replays = 0;
  Clock host;
  Random random{seed() ^ 0x5eed};
  std::set<std::shared_ptr<Capture>> captures;
  std::map<std::string, int64_t> launches;
  Submissions submissions;

  State() { streams.insert(&legacy); }
};

State& all() {
  static State state;
  return state;
}

thread_local cudaError_t last_error = cudaSuccess;

CUstream_st* stream_of(cudaStream_t stream) {
  if (stream == nullptr || stream == cudaStreamLegacy) return &all().legacy;
  return all().streams.contains(stream) ? stream : nullptr;
}

void join(Clock& into, const Clock& other) {
  if (into.size() < other.size()) into.resize(other.size());
  for (size_t i = 0; i < other.size(); ++i) into[i] = std::max(into[i], other[i]);
}

void unite(std::vector<size_t>& into, const std::vector<size_t>& other) {
  for (const size_t n : other) {
    if (std::find(into.begin(), into.end(), n) == into.end()) into.push_back(n);
  }
}

bool runnable(const CUstream_st& stream) {
  return !stream.queue.empty() &&
         std::all_of(stream.queue.front().needs.begin(), stream.queue.front().needs.end(),
                     [](const auto& need) { return need->done; });
}

// Whether work is to be done beside being counted.
bool counted(const Work& work, std::map<std::string, int64_t>& counts) {
  if (!work.counted.empty()) ++counts[work.counted];
  if (work.kernel != nullptr) ++all().launches[work.counted];
  return work.run && !(work.skippable && bodies_skipped());
}

void run_front(CUstream_st& stream) {
  const Task task = std::move(stream.queue.front());
  stream.queue.pop_front();
  // After a fault the device does nothing any more.
  if (sticky_status() == cudaSuccess) {
    if (task.replay) {
      ++all().submissions.graphs;
      task.replay(task);
    } else if (counted(task.work, all().submissions.single)) {
      begin_task({.stream = stream.id,
                  .sequence = task.sequence,
                  .clock = task.clock.get(),
                  .name = task.work.name});
      task.work.run();
      end_task();
    }
  }
  task.done->done = true;
  task.done->when = std::chrono::steady_clock::now();
}

// Runs the first task of a stream drawn among those that can go on; false where none can.
bool step() {
  std::vector<CUstream_st*> ready;
  for (CUstream_st* s : all().streams) {
    if (runnable(*s)) ready.push_back(s);
  }
  if (ready.empty()) return false;
  // The set is ordered by address, which differs from run to run.
  std::sort(ready.begin(), ready.end(), [](auto* a, auto* b) { return a->id < b->id; });
  run_front(*ready[all().random.below(static_cast<uint32_t>(ready.size()))]);
  return true;
}

void run_until(const Done& done) {
  while (!done.done && step()) {
  }
}

void add_task(CUstream_st& stream, Task task) {
  State& state = all();
  task.done = std::make_shared<Done>();
  join(stream.clock, state.host);
  if (&stream == &state.legacy) {
    // The legacy stream comes after all blocking ones, and they after it.
    for (CUstream_st* s : state.streams) {
      if (!s->blocking || s->last == nullptr) continue;
      task.needs.push_back(s->last);
      join(stream.clock, s->clock);
    }
  } else if (stream.blocking && state.legacy.last != nullptr) {
    task.needs.push_back(state.legacy.last);
    join(stream.clock, state.legacy.clock);
  }
  if (stream.clock.size() <= stream.id) stream.clock.resize(stream.id + 1);
  task.sequence = stream.clock[stream.id] = ++stream.sequence;
  task.clock = std::make_shared<const Clock>(stream.clock);
  stream.last = task.done;
  stream.queue.push_back(std::move(task));
  // The device does not wait until it is waited for.
  while (state.random.below(3) == 0 && step()) {
  }
}

// Work during captures: a node where this stream captures, else refused where it cannot be told
// apart (the legacy stream).
cudaError_t capture_check(CUstream_st& stream) {
  State& state = all();
  if (stream.capture != nullptr) {
    return stream.capture->lost ? cudaErrorStreamCaptureInvalidated : cudaSuccess;
  }
  if (&stream == &state.legacy) {
    for (const auto& capture : state.captures) {
      if (capture->mode == cudaStreamCaptureModeRelaxed) continue;
      capture->lost = true;
      return cudaErrorStreamCaptureImplicit;
    }
  }
  return cudaSuccess;
}

std::vector<std::vector<bool>> ancestors_of(const std::vector<Node>& nodes) {
  std::vector<std::vector<bool>> ancestors(nodes.size(), std::vector<bool>(nodes.size()));
  for (size_t i = 0; i < nodes.size(); ++i) {  // needs have smaller numbers
    for (const size_t need : nodes[i].needs) {
      ancestors[i][need] = true;
      for (size_t j = 0; j < need; ++j) {
        if (ancestors[need][j]) ancestors[i][j] = true;
      }
    }
  }
  return ancestors;
}

void replay(uint32_t stream, const Task& task, const std::vector<Node>& nodes,
            const std::vector<std::vector<bool>>& ancestors) {
  State& state = all();
  const uint32_t number = ++state.replays;
  std::vector<size_t> open(nodes.size()), ready;
  std::vector<std::vector<size_t>> after(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    open[i] = nodes[i].needs.size();
    if (open[i] == 0) ready.push_back(i);
    for (const size_t need : nodes[i].needs) after[need].push_back(i);
  }
  while (!ready.empty() && sticky_status() == cudaSuccess) {
    std::swap(ready[state.random.below(static_cast<uint32_t>(ready.size()))], ready.back());
    const size_t i = ready.back();
    ready.pop_back();
    begin_task({.stream = stream,
                .sequence = task.sequence,
                .replay = number,
                .node = static_cast<uint32_t>(i),
                .clock = task.clock.get(),
                .ancestors = &ancestors[i],
                .name = nodes[i].work.name});
    if (counted(nodes[i].work, state.submissions.replayed)) nodes[i].work.run();
    end_task();
    for (const size_t next : after[i]) {
      if (--open[next] == 0) ready.push_back(next);
    }
  }
}

}  // namespace

std::map<std::string, int64_t> take_launches() {
  const std::lock_guard lock(all().mutex);
  return std::exchange(all().launches, {});
}

Submissions take_submissions() {
  const std::lock_guard lock(all().mutex);
  return std::exchange(all().submissions, {});
}

std::recursive_mutex& api_mutex() {
  return all().mutex;
}

cudaError_t note(cudaError_t status) {
  if (status != cudaSuccess && status != cudaErrorNotReady) last_error = status;
  return status;
}

bool capturing(cudaStream_t stream) {
  const CUstream_st* s = stream_of(stream);
  return s != nullptr && s->capture != nullptr;
}

cudaError_t refuse_in_capture() {
  for (const auto& capture : all().captures) {
    if (capture->mode == cudaStreamCaptureModeRelaxed) continue;
    capture->lost = true;
    return cudaErrorStreamCaptureUnsupported;
  }
  return cudaSuccess;
}

cudaError_t enqueue(cudaStream_t stream, Work work) {
  CUstream_st* s = stream_of(stream);
  if (s == nullptr) return cudaErrorInvalidResourceHandle;
  if (const cudaError_t status = capture_check(*s)) return status;
  if (s->capture != nullptr) {
    Capture& capture = *s->capture;
    capture.nodes.push_back({std::move(work), s->tails});
    s->tails = {capture.nodes.size() - 1};
    return cudaSuccess;
  }
  Task task;
  task.work = std::move(work);
  add_task(*s, std::move(task));
  return sticky_status();
}

cudaError_t synchronize(cudaStream_t stream) {
  CUstream_st* s = stream_of(stream);
  if (s == nullptr) return cudaErrorInvalidResourceHandle;
  if (s->capture != nullptr) {
    s->capture->lost = true;
    return cudaErrorStreamCaptureUnsupported;
  }
  if (const cudaError_t status = capture_check(*s)) return status;
  if (s->last != nullptr) run_until(*s->last);
  join(all().host, s->clock);
  return sticky_status();
}

cudaError_t synchronize_all() {
  if (const cudaError_t status = refuse_in_capture()) return status;
  while (step()) {
  }
  for (const CUstream_st* s : all().streams) join(all().host, s->clock);
  return sticky_status();
}

void drop_queues() {
  const std::lock_guard lock(all().mutex);
  while (step()) {
  }
}

void host_access(const void* p, size_t bytes, bool write) {
  // A task may be copying; those that run by themselves are checked where they run.
  if (!checks_on() || running.id != 0) return;
  const std::lock_guard lock(all().mutex);
  const Place place = find_allocation(p, bytes);
  const char* verb = write ? "write" : "read";
  if (!place.live || !place.within || place.kind == Kind::kDevice) {
    report(std::string("host code: ") + verb + " at " + describe(p) +
               (place.live && place.within ? ": device memory" : ": out of bounds"),
           cudaErrorIllegalAddress);
    return;
  }
  const auto start = reinterpret_cast<uintptr_t>(p);
  for (const CUstream_st* s : all().streams) {
    for (const Task& task : s->queue) {
      for (const HostRange& range : task.work.host) {
        const auto other = reinterpret_cast<uintptr_t>(range.start);
        if (other >= start + bytes || start >= other + range.bytes) continue;
        if (!write && !range.written) continue;
        report(std::string("host code: ") + verb + " at " + describe(p) + ": " + task.work.name +
                   " has not been waited for",
               cudaErrorIllegalAddress);
        return;
      }
    }
  }
  const Cell& cell = heap.cells[heap.word(p)];
  for (const uint64_t bits : {cell.write, write ? cell.read[0] : 0, write ? cell.read[1] : 0}) {
    const uint32_t task = Stamp{bits}.task();
    if (task == 0 || ordered_before(task, all().host)) continue;
    report(std::string("host code: ") + verb + " at " + describe(p) + ": " + task_name(task) +
               " has not been waited for",
           cudaErrorIllegalAddress);
    return;
  }
}

}  // namespace nibble::emulate

// ---- the API ----

using namespace nibble::emulate;
using Lock = std::lock_guard<std::recursive_mutex>;

extern "C" {

cudaError_t cudaGetLastError() {
  const cudaError_t status = sticky_status() != cudaSuccess ? sticky_status() : last_error;
  last_error = cudaSuccess;
  return status;
}
cudaError_t cudaPeekAtLastError() {
  return sticky_status() != cudaSuccess ? sticky_status() : last_error;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const Lock lock(api_mutex());
  if (stream == nullptr || flags > cudaStreamNonBlocking) return note(cudaErrorInvalidValue);
  if (sticky_status() != cudaSuccess) return sticky_status();
  *stream = new CUstream_st;
  (*stream)->id = all().next_stream++;
  (*stream)->blocking = flags != cudaStreamNonBlocking;
  all().streams.insert(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, 0);
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return cudaStreamCreateWithFlags(stream, flags);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Lock lock(api_mutex());
  if (stream == nullptr || !all().streams.contains(stream)) {
    return note(cudaErrorInvalidResourceHandle);
  }
  if (stream->last != nullptr) run_until(*stream->last);
  if (stream->capture != nullptr) {
    stream->capture->lost = true;
    if (stream->capture->origin == stream) all().captures.erase(stream->capture);
    stream->capture->streams.erase(stream);
  }
  all().streams.erase(stream);
  delete stream;
  return sticky_status();
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const Lock lock(api_mutex());
  return note(synchronize(stream));
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const Lock lock(api_mutex());
  CUstream_st* s = stream_of(stream);
  if (s == nullptr) return note(cudaErrorInvalidResourceHandle);
  if (s->capture != nullptr) {
    s->capture->lost = true;
    return note(cudaErrorStreamCaptureUnsupported);
  }
  step();
  if (sticky_status() != cudaSuccess) return sticky_status();
  if (s->last != nullptr && !s->last->done) return cudaErrorNotReady;
  join(all().host, s->clock);
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const Lock lock(api_mutex());
  CUstream_st* s = stream_of(stream);
  if (s == nullptr || !all().events.contains(event)) return note(cudaErrorInvalidResourceHandle);
  if (const cudaError_t status = capture_check(*s)) return note(status);
  if (event->capture != nullptr) {
    Capture& capture = *event->capture;
    if (capture.lost) return note(cudaErrorStreamCaptureInvalidated);
    if (s == &all().legacy) return note(cudaErrorStreamCaptureImplicit);
    if (s->capture == nullptr) {
      // The stream joins the capture.
      s->capture = event->capture;
      s->tails = event->tails;
      capture.streams.insert(s);
      return cudaSuccess;
    }
    if (s->capture != event->capture) {
      capture.lost = s->capture->lost = true;
      return note(cudaErrorStreamCaptureMerge);
    }
    unite(s->tails, event->tails);
    return cudaSuccess;
  }
  if (s->capture != nullptr) {
    if (event->done == nullptr) return cudaSuccess;
    // What was recorded before the capture is no part of it.
    s->capture->lost = true;
    return note(cudaErrorStreamCaptureIsolation);
  }
  if (event->done == nullptr) return cudaSuccess;  // never recorded: no wait
  join(s->clock, event->clock);
  Task task;
  task.work.name = "event wait";
  task.needs.push_back(event->done);
  add_task(*s, std::move(task));
  return sticky_status();
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, void (*function)(void*), void* data) {
  const Lock lock(api_mutex());
  return note(enqueue(
      stream, {.name = "host function", .run = [=] { function(data); }, .skippable = false}));
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  const Lock lock(api_mutex());
  if (event == nullptr || flags > 3) return note(cudaErrorInvalidValue);
  *event = new CUevent_st;
  (*event)->timed = !(flags & cudaEventDisableTiming);
  all().events.insert(*event);
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, 0);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const Lock lock(api_mutex());
  if (all().events.erase(event) == 0) return note(cudaErrorInvalidResourceHandle);
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const Lock lock(api_mutex());
  CUstream_st* s = stream_of(stream);
  if (s == nullptr || !all().events.contains(event)) return note(cudaErrorInvalidResourceHandle);
  if (const cudaError_t status = capture_check(*s)) return note(status);
  if (s->capture != nullptr) {
    event->capture = s->capture;
    event->tails = s->tails;
    event->done = nullptr;
    return cudaSuccess;
  }
  event->capture = nullptr;
  Task task;
  task.work.name = "event record";
  add_task(*s, std::move(task));
  event->done = s->last;
  event->clock = s->clock;
  return sticky_status();
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  const Lock lock(api_mutex());
  if (!all().events.contains(event)) return note(cudaErrorInvalidResourceHandle);
  if (event->capture != nullptr) {
    event->capture->lost = true;
    return note(cudaErrorCapturedEvent);
  }
  if (event->done == nullptr) return cudaSuccess;
  step();
  if (sticky_status() != cudaSuccess) return sticky_status();
  if (!event->done->done) return cudaErrorNotReady;
  join(all().host, event->clock);
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const Lock lock(api_mutex());
  if (!all().events.contains(event)) return note(cudaErrorInvalidResourceHandle);
  if (event->capture != nullptr) {
    event->capture->lost = true;
    return note(cudaErrorCapturedEvent);
  }
  if (event->done == nullptr) return cudaSuccess;
  run_until(*event->done);
  join(all().host, event->clock);
  return sticky_status();
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t stop) {
  const Lock lock(api_mutex());
  if (!all().events.contains(start) || !all().events.contains(stop) || !start->timed ||
      !stop->timed || start->done == nullptr || stop->done == nullptr) {
    return note(cudaErrorInvalidResourceHandle);
  }
  if (!start->done->done || !stop->done->done) return cudaErrorNotReady;
  *milliseconds =
      std::chrono::duration<float, std::milli>(stop->done->when - start->done->when).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  const Lock lock(api_mutex());
  CUstream_st* s = stream_of(stream);
  if (s == nullptr) return note(cudaErrorInvalidResourceHandle);
  if (s == &all().legacy) return note(cudaErrorStreamCaptureUnsupported);
  if (s->capture != nullptr) return note(cudaErrorIllegalState);
  if (faulty("capture")) return note(cudaErrorNotSupported);
  s->capture = std::make_shared<Capture>();
  s->capture->origin = s;
  s->capture->mode = mode;
  s->capture->streams.insert(s);
  s->tails.clear();
  all().captures.insert(s->capture);
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const Lock lock(api_mutex());
  CUstream_st* s = stream_of(stream);
  if (s == nullptr || graph == nullptr) return note(cudaErrorInvalidValue);
  *graph = nullptr;
  if (s->capture == nullptr) return note(cudaErrorIllegalState);
  const std::shared_ptr<Capture> capture = s->capture;
  if (capture->origin != s) return note(cudaErrorStreamCaptureUnmatched);
  cudaError_t status = capture->lost ? cudaErrorStreamCaptureInvalidated : cudaSuccess;
  if (status == cudaSuccess) {
    // Every branch must have come back to this stream.
    const auto ancestors = ancestors_of(capture->nodes);
    for (const CUstream_st* other : capture->streams) {
      for (const size_t tail : other->tails) {
        const bool joined = std::any_of(s->tails.begin(), s->tails.end(), [&](size_t own) {
          return own == tail || ancestors[own][tail];
        });
        if (!joined) status = cudaErrorStreamCaptureUnjoined;
      }
    }
  }
  all().captures.erase(capture);
  for (CUstream_st* other : capture->streams) {
    other->capture = nullptr;
    other->tails.clear();
  }
  if (status != cudaSuccess) return note(status);
  *graph = new CUgraph_st{capture->nodes};
  all().graphs.insert(*graph);
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const Lock lock(api_mutex());
  CUstream_st* s = stream_of(stream);
  if (s == nullptr || status == nullptr) return note(cudaErrorInvalidValue);
  *status = s->capture == nullptr ? cudaStreamCaptureStatusNone
            : s->capture->lost    ? cudaStreamCaptureStatusInvalidated
                                  : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  const Lock lock(api_mutex());
  if (exec == nullptr || !all().graphs.contains(graph)) return note(cudaErrorInvalidValue);
  if (faulty("instantiate")) return note(cudaErrorMemoryAllocation);
  *exec = new CUgraphExec_st;
  (*exec)->nodes = std::make_shared<const std::vector<Node>>(graph->nodes);
  (*exec)->ancestors =
      std::make_shared<const std::vector<std::vector<bool>>>(ancestors_of(graph->nodes));
  all().execs.insert(*exec);
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  const Lock lock(api_mutex());
  CUstream_st* s = stream_of(stream);
  if (s == nullptr || !all().execs.contains(exec)) return note(cudaErrorInvalidResourceHandle);
  if (const cudaError_t status = capture_check(*s)) return note(status);
  if (s->capture != nullptr) {
    s->capture->lost = true;
    return note(cudaErrorStreamCaptureUnsupported);
  }
  Task task;
  task.work.name = "graph";
  for (const Node& node : *exec->nodes) {
    task.work.host.insert(task.work.host.end(), node.work.host.begin(), node.work.host.end());
  }
  task.replay = [id = s->id, nodes = exec->nodes, ancestors = exec->ancestors](const Task& own) {
    replay(id, own, *nodes, *ancestors);
  };
  // Launches of one executable graph follow each other.
  if (exec->last != nullptr) {
    task.needs.push_back(exec->last);
    join(s->clock, exec->clock);
  }
  add_task(*s, std::move(task));
  exec->last = s->last;
  exec->clock = s->clock;
  return sticky_status();
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream) {
  const Lock lock(api_mutex());
  return all().execs.contains(exec) && stream_of(stream) != nullptr
             ? cudaSuccess
             : note(cudaErrorInvalidResourceHandle);
}

cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph,
                                cudaGraphExecUpdateResultInfo* result) {
  const Lock lock(api_mutex());
  if (!all().execs.contains(exec) || !all().graphs.contains(graph) || result == nullptr) {
    return note(cudaErrorInvalidValue);
  }
  *result = {};
  const std::vector<Node>& old = *exec->nodes;
  bool same = old.size() == graph->nodes.size();
  for (size_t i = 0; same && i < old.size(); ++i) same = old[i].needs == graph->nodes[i].needs;
  if (!same) {
    result->result = cudaGraphExecUpdateErrorTopologyChanged;
    return note(cudaErrorGraphExecUpdateFailure);
  }
  for (size_t i = 0; i < old.size(); ++i) {
    const Work &was = old[i].work, &is = graph->nodes[i].work;
    if ((was.kernel == nullptr) != (is.kernel == nullptr)) {
      result->result = cudaGraphExecUpdateErrorNodeTypeChanged;
      return note(cudaErrorGraphExecUpdateFailure);
    }
  }
  exec->nodes = std::make_shared<const std::vector<Node>>(graph->nodes);
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  const Lock lock(api_mutex());
  if (all().execs.erase(exec) == 0) return note(cudaErrorInvalidResourceHandle);
  delete exec;
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const Lock lock(api_mutex());
  if (all().graphs.erase(graph) == 0) return note(cudaErrorInvalidResourceHandle);
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  const Lock lock(api_mutex());
  if (!all().graphs.contains(graph) || count == nullptr || nodes != nullptr) {
    return note(cudaErrorInvalidValue);  // only the count
  }
  *count = graph->nodes.size();
  return cudaSuccess;
}

}  // extern "C"
