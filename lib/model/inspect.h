// SPDX-License-Identifier: Apache-2.0
// What is in a file or folder: one JSON document, for --json as it is and for people as text.
//   kind      "GGUF", "safetensors", "packed shard", "model folder", "adapter folder",
//             "checkpoint", "JSON lines"
//   summary   what the kind is about: family, parameters, rows, ...
//   metadata  key to value; long lists are cut short
//   tensors   [{name, type, shape, bytes, stats}], stats only where asked
//   faults    [text], only where asked to verify
#pragma once

#include <string>

#include "io/gguf.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "model/float_rows.h"

namespace nibble {

struct InspectOptions {
  bool stats = false;   // minimum, maximum, mean and root mean square of every tensor
  bool verify = false;  // read everything and list what is wrong
};

/// Throws NoInputError, or DataError where the damage keeps it from being read at all and
/// `verify` is off.
Json inspect(const fs::path& path, const InspectOptions& options);

/// The document as text, a line a fact.
std::string render_inspection(const Json& document);

/// Writes one thing whole to `sink`: the values of the tensor, or the value of the metadata key, of
/// that name. DataError where there is none.
void show(const fs::path& path, const std::string& name,
          const std::function<void(std::string_view)>& sink);

// The parts, by kind (inspect_tensors.cpp, inspect_folder.cpp).

/// An entry of "tensors"; `rows` is null where the type has no floats. What is not finite is added
/// to `faults`.
Json inspect_tensor(const std::string& name, std::string_view type, std::span<const int64_t> shape,
                    uint64_t bytes, const FloatRows* rows, const InspectOptions& options,
                    Json::Array& faults);
void inspect_gguf(const GgufFile& file, const InspectOptions& options, Json& document);
void inspect_safetensors(const TensorStore& store, const InspectOptions& options, Json& document);
void inspect_model_folder(const fs::path& path, const InspectOptions& options, Json& document);
void inspect_adapter_folder(const fs::path& path, const InspectOptions& options, Json& document);
/// Runs `check`; a nibble error becomes a fault with `verify`, and is thrown on without.
void collect_faults(Json& document, const InspectOptions& options,
                    const std::function<void()>& check);

}  // namespace nibble
