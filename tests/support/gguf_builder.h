// SPDX-License-Identifier: Apache-2.0
// GGUF files of tiny models, laid out as llama.cpp's converter does, for tests.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "io/gguf.h"
#include "support/model_folder.h"

namespace nibble::test {

/// Rows of Hugging Face's q or k in GGUF's order for LLaMA: (H, 2, D/2) read as (H, D/2, 2).
inline std::vector<float> interleaved(const std::vector<float>& w, int64_t head_dim,
                                      int64_t columns) {
  std::vector<float> out;
  const int64_t rows = static_cast<int64_t>(w.size()) / columns;
  for (int64_t head = 0; head < rows / head_dim; ++head)
    for (int64_t i = 0; i < head_dim / 2; ++i)
      for (int64_t half = 0; half < 2; ++half) {
        const int64_t row = head * head_dim + half * (head_dim / 2) + i;
        out.insert(out.end(), w.begin() + row * columns, w.begin() + (row + 1) * columns);
      }
  return out;
}

/// A whole file, to be changed before it is written.
struct GgufBuilder {
  GgufMetadata meta;
  std::vector<GgufTensorInfo> infos;
  std::vector<std::vector<float>> values;

  void add(std::string name, std::vector<int64_t> shape, std::vector<float> data,
           GgmlType type = GgmlType::kF32) {
    infos.push_back({std::move(name), type, std::move(shape)});
    values.push_back(std::move(data));
  }
  void remove(const std::string& name) {
    for (size_t i = 0; i < infos.size(); ++i)
      if (infos[i].name == name) {
        infos.erase(infos.begin() + static_cast<std::ptrdiff_t>(i));
        values.erase(values.begin() + static_cast<std::ptrdiff_t>(i));
        return;
      }
  }
  GgufTensorInfo& info(const std::string& name) {
    return *std::find_if(infos.begin(), infos.end(),
                         [&](const GgufTensorInfo& i) { return i.name == name; });
  }
  void write(const fs::path& path) const {
    GgufWriter out(path, meta, infos);
    for (size_t i = 0; i < infos.size(); ++i) {
      std::vector<std::byte> bytes(gguf_tensor_bytes(infos[i]));
      encode_blocks(infos[i].type, values[i].data(), bytes.data(),
                    static_cast<int64_t>(values[i].size()));
      out.write(bytes.data(), bytes.size());
    }
    out.commit();
  }
};

/// The metadata of tiny_config's sizes; `extra` may add keys.
inline GgufMetadata tiny_gguf_metadata(const std::string& architecture) {
  GgufMetadata m;
  m.string("general.architecture", architecture);
  const std::string a = architecture + ".";
  m.u32(a + "block_count", 3);
  m.u32(a + "context_length", 128);
  m.u32(a + "embedding_length", 32);
  m.u32(a + "feed_forward_length", 48);
  m.u32(a + "attention.head_count", 4);
  m.u32(a + "attention.head_count_kv", 2);
  m.u32(a + "attention.key_length", 8);
  m.u32(a + "attention.value_length", 8);
  m.f32(a + "attention.layer_norm_rms_epsilon", 1e-5f);
  m.f32(a + "rope.freq_base", 10000.0f);
  return m;
}

/// 40 tokens of byte-level BPE: three control, one user-defined, letters, merged pieces, one
/// unused.
inline void add_tiny_bpe(GgufMetadata& m, const std::string& pre = "qwen2") {
  std::vector<std::string> tokens = {"<|end|>", "<|start|>", "<|stop|>", "<tool>"};
  std::vector<int32_t> types = {3, 3, 3, 4};
  for (char c = 'a'; c <= 'z'; ++c) tokens.emplace_back(1, c);
  for (const char* t : {"\xc4\xa0", "th", "the", "\xc4\xa0the", "in", "ing", "!", "\xc4\x8a", "3"})
    tokens.emplace_back(t);
  types.resize(tokens.size(), 1);
  tokens.emplace_back("[PAD39]");
  types.push_back(5);
  m.string("tokenizer.ggml.model", "gpt2");
  if (!pre.empty()) m.string("tokenizer.ggml.pre", pre);
  m.strings("tokenizer.ggml.tokens", tokens);
  m.i32s("tokenizer.ggml.token_type", types);
  m.strings("tokenizer.ggml.merges",
            std::vector<std::string>{"t h", "th e", "\xc4\xa0 the", "i n", "in g"});
  m.u32("tokenizer.ggml.bos_token_id", 1);
  m.u32("tokenizer.ggml.eos_token_id", 0);
  m.u32("tokenizer.ggml.eot_token_id", 2);
  m.string("tokenizer.chat_template", "{{ messages[0].content }}");
}

/// A file of these weights (Hugging Face's names and layout), its tokenizer left to the caller.
GgufBuilder inline tiny_gguf(const std::string& architecture, const Weights& weights,
                             const ModelConfig& config,
                             const std::function<std::string(const std::string&)>& name_of) {
  GgufBuilder b{.meta = tiny_gguf_metadata(architecture)};
  for (const WeightSpec& spec : model_weights(config)) {
    std::vector<float> w = weights.at(spec.name);
    const bool qk = spec.name.find("q_proj") != std::string::npos ||
                    spec.name.find("k_proj") != std::string::npos;
    if (architecture == "llama" && qk)
      w = interleaved(w, config.head_dim, spec.shape.size() == 1 ? 1 : spec.shape[1]);
    b.add(name_of(spec.name), spec.shape, std::move(w));
  }
  return b;
}

}  // namespace nibble::test
