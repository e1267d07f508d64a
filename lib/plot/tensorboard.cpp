// SPDX-License-Identifier: Apache-2.0
#include "plot/tensorboard.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>

#include "io/crc32c.h"
#include "plot/words.h"

namespace nibble {
namespace {

static_assert(std::endian::native == std::endian::little);

template <class T>
void append_raw(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof bytes);
}

// A message in protobuf's wire format.
class Message {
 public:
  Message& integer(int field, uint64_t value) {
    key(field, 0);
    varint(value);
    return *this;
  }
  Message& real64(int field, double value) {
    key(field, 1);
    append_raw(bytes_, value);
    return *this;
  }
  Message& real32(int field, float value) {
    key(field, 5);
    append_raw(bytes_, value);
    return *this;
  }
  Message& bytes(int field, std::string_view value) {
    key(field, 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(int field, const Message& value) { return bytes(field, value.bytes_); }
  const std::string& data() const { return bytes_; }

 private:
  void key(int field, unsigned wire) { varint(static_cast<uint64_t>(field) << 3 | wire); }
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

uint32_t masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes.data(), bytes.size());
  return std::rotr(crc, 15) + 0xa282ead8U;
}

void append_record(std::string& out, const Message& event) {
  std::string length;
  append_raw(length, static_cast<uint64_t>(event.data().size()));
  out += length;
  append_raw(out, masked_crc(length));
  out += event.data();
  append_raw(out, masked_crc(event.data()));
}

std::string tag_of(const std::string& metric) {
  constexpr std::string_view kValidation = "validation_";
  const std::string name = clean(metric, 100);
  return name.starts_with(kValidation) ? "validation/" + name.substr(kValidation.size())
                                       : "train/" + name;
}

// Options as TensorBoard's text plugin shows them: a table in Markdown.
Message options_event(const Json& options, double time) {
  std::string table = "| option | value |\n|---|---|\n";
  for (const auto& [name, value] : options.as_object()) {
    std::string cell = value.is_string() ? value.as_string() : value.dump();
    for (size_t at = 0; (at = cell.find('|', at)) != std::string::npos; at += 2)
      cell.insert(at, "\\");
    table += cat("| ", clean(name, 60), " | ", clean(cell, 400), " |\n");
  }
  constexpr uint64_t kString = 7;  // DT_STRING
  Message tensor;
  tensor.integer(1, kString)
      .message(2, Message().message(2, Message().integer(1, 1)))
      .bytes(8, table);
  const Message metadata = Message().message(1, Message().bytes(1, "text"));
  const Message value =
      Message().bytes(1, "options/text_summary").message(8, tensor).message(9, metadata);
  return Message().real64(1, time).integer(2, 0).message(5, Message().message(1, value));
}

double start_of(const RunMetrics& run) {
  const Json* started = run.run.find("started");
  return started && started->is_number() ? std::clamp(started->as_number(), 0.0, 1e11) : 0.0;
}

// A folder's name for each run, no two the same.
std::string folder_name(const RunMetrics& run, size_t index) {
  std::string name = clean(run.name, 80);
  for (char& c : name)
    if (c == '/') c = '-';
  const bool taken = name.empty() || name.find_first_not_of('.') == std::string::npos;
  return taken ? cat("run-", index + 1) : name;
}

}  // namespace

std::string event_file_name(const RunMetrics& run) {
  const std::string time = cat(static_cast<int64_t>(start_of(run)));
  return cat("events.out.tfevents.", std::string(time.size() < 10 ? 10 - time.size() : 0, '0'),
             time, ".nibble");
}

std::string event_file(const RunMetrics& run) {
  // Values by step, and when each step was done by how fast its tokens went.
  std::map<double, std::vector<std::pair<std::string, double>>> steps;
  std::map<double, double> seconds;
  for (const auto& [name, curve] : run.curves)
    for (size_t i = 0; i < curve.steps.size(); ++i)
      if (std::isfinite(curve.values[i]))
        steps[curve.steps[i]].emplace_back(tag_of(name), curve.values[i]);
  const Curve* tokens = run.find("tokens");
  const Curve* speed = run.find("tokens_per_second");
  if (tokens && speed && tokens->steps == speed->steps)
    for (size_t i = 0; i < tokens->steps.size(); ++i)
      if (const double s = tokens->values[i] / speed->values[i]; std::isfinite(s) && s > 0)
        seconds[tokens->steps[i]] = std::min(s, 1e6);

  double time = start_of(run);
  std::string out;
  append_record(out, Message().real64(1, time).bytes(3, "brain.Event:2"));
  if (const Json* options = run.run.find("options"); options && options->is_object())
    append_record(out, options_event(*options, time));
  for (const auto& [step, values] : steps) {
    if (const auto took = seconds.find(step); took != seconds.end()) time += took->second;
    Message summary;
    for (const auto& [tag, value] : values)
      summary.message(1, Message().bytes(1, tag).real32(2, static_cast<float>(value)));
    append_record(
        out, Message().real64(1, time).integer(2, static_cast<uint64_t>(step)).message(5, summary));
  }
  return out;
}

void write_event_folder(const fs::path& path, const std::vector<RunMetrics>& runs) {
  AtomicFolder folder(path);
  std::vector<std::string> names;
  for (size_t i = 0; i < runs.size(); ++i) {
    fs::path to = folder.working();
    if (runs.size() > 1) {
      std::string name = folder_name(runs[i], i);
      while (std::find(names.begin(), names.end(), name) != names.end()) name += "+";
      names.push_back(name);
      to /= name;
      std::error_code error;
      fs::create_directory(to, error);
      if (error)
        throw CannotCreateError(cat((path / name).string(), ": cannot create: ", error.message(),
                                    "; choose another --out"));
    }
    write_text_file(to / event_file_name(runs[i]), event_file(runs[i]));
  }
  folder.commit();
}

}  // namespace nibble
