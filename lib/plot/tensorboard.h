// SPDX-License-Identifier: Apache-2.0
// Metrics as a TensorBoard event file: TFRecords (length, its masked CRC-32C, data, its masked
// CRC-32C; little-endian) of Event messages in protobuf's wire format,
//   Event   { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5 }
//   Summary { Value { string tag = 1; float simple_value = 2; TensorProto tensor = 8;
//                     SummaryMetadata metadata = 9 } value = 1 }
// (tensorboard/compat/proto/event.proto and summary.proto). Metrics become "train/NAME",
// validation's "validation/NAME"; the run's options a text "options".
#pragma once

#include <string>

#include "plot/run_metrics.h"

namespace nibble {

/// The bytes of the file.
std::string event_file(const RunMetrics& run);
/// Its name: "events.out.tfevents.TIME.nibble".
std::string event_file_name(const RunMetrics& run);

/// Writes a folder: the file of one run, or a folder a run. `path` must not exist, or be empty.
void write_event_folder(const fs::path& path, const std::vector<RunMetrics>& runs);

}  // namespace nibble
