// SPDX-License-Identifier: Apache-2.0
// llama2.c's checkpoints (export.py of that project), all little-endian:
//   version 0: 7 i32 (dim, hidden_dim, layers, heads, kv_heads, vocab, seq_len), vocab negative
//     where the head is stored; then F32: embedding; by layer attention norms, wq, wk, wv, wo, MLP
//     norms, w1 (gate), w2 (down), w3 (up); final norm; two RoPE tables of seq_len * D / 2; head
//   version 1: "42ka" (0x616b3432), version, 7 i32, u8 shared head, zeros to byte 256; then F32:
//     attention norms, MLP norms, final norm, embedding, wq, wk, wv, wo, w1, w2, w3, head
//   version 2: as 1 with i32 group size after the flag; norms F32, then each matrix as int8 codes
//     followed by one F32 scale a group
#include <cstdlib>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "model/gguf_names.h"
#include "model/import_sources.h"
#include "model/llama2c_vocab.h"
#include "model/tokenizer_files.h"

namespace nibble {
namespace {

constexpr uint32_t kMagic = 0x616b3432;

struct Header {
  int64_t version = 0;
  int64_t dim = 0, hidden = 0, layers = 0, heads = 0, kv_heads = 0, vocab = 0, length = 0;
  bool shared_head = true;
  int64_t group = 0;  // version 2
  size_t begin = 0;   // of the weights

  int64_t head_dim() const { return dim / heads; }
};

[[noreturn]] void fail(const fs::path& path, const std::string& fault) {
  throw DataError(cat(path.string(), ": ", fault, "; is it a GGUF file or a llama2.c checkpoint?"));
}

int32_t word(std::span<const std::byte> bytes, size_t at) {
  int32_t value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

Header read_header(const MappedFile& file) {
  const auto bytes = file.bytes();
  if (bytes.size() < 256) fail(file.path(), cat("only ", bytes.size(), " bytes long"));
  Header h;
  size_t at = 0;
  if (static_cast<uint32_t>(word(bytes, 0)) == kMagic) {
    h.version = word(bytes, 4);
    if (h.version != 1 && h.version != 2)
      throw UnavailableError(cat(file.path().string(), ": llama2.c checkpoint of version ",
                                 h.version, " is not supported; versions 0 to 2 are"));
    at = 8;
  }
  const int64_t fields[7] = {word(bytes, at),      word(bytes, at + 4),  word(bytes, at + 8),
                             word(bytes, at + 12), word(bytes, at + 16), word(bytes, at + 20),
                             word(bytes, at + 24)};
  h.dim = fields[0], h.hidden = fields[1], h.layers = fields[2], h.heads = fields[3];
  h.kv_heads = fields[4], h.vocab = std::abs(fields[5]), h.length = fields[6];
  h.shared_head = h.version == 0 ? fields[5] > 0 : bytes[36] != std::byte{0};
  h.begin = h.version == 0 ? 28 : 256;
  if (h.version == 2) std::memcpy(&h.group, bytes.data() + 37, 4);
  for (const int64_t n : {h.dim, h.hidden, h.layers, h.heads, h.kv_heads, h.vocab, h.length})
    if (n < 1 || n > int64_t{1} << 24) fail(file.path(), "its header makes no sense");
  if (h.dim % h.heads != 0 || h.heads % h.kv_heads != 0 || h.head_dim() % 2 != 0 ||
      (h.version == 2 && (h.group < 1 || h.dim % h.group != 0 || h.hidden % h.group != 0)))
    fail(file.path(), "its header makes no sense");
  return h;
}

// Walks the weights in file order and remembers where each begins.
class Layout {
 public:
  Layout(const MappedFile& file, const Header& h) : file_(file), h_(h), at_(h.begin) {
    const int64_t kv = h.kv_heads * h.head_dim();
    const auto layers = [&](const std::string& stem, int64_t rows, int64_t columns) {
      for (int64_t l = 0; l < h.layers; ++l)
        place(cat("model.layers.", l, ".", stem, ".weight"), rows, columns);
    };
    const auto attention = [&] {
      layers("self_attn.q_proj", h.dim, h.dim);
      layers("self_attn.k_proj", kv, h.dim);
      layers("self_attn.v_proj", kv, h.dim);
      layers("self_attn.o_proj", h.dim, h.dim);
    };
    const auto mlp = [&] {
      layers("mlp.gate_proj", h.hidden, h.dim);
      layers("mlp.down_proj", h.dim, h.hidden);
      layers("mlp.up_proj", h.hidden, h.dim);
    };
    if (h.version == 0) {
      place("model.embed_tokens.weight", h.vocab, h.dim);
      layers("input_layernorm", 1, h.dim);
      attention();
      layers("post_attention_layernorm", 1, h.dim);
      mlp();
      place("model.norm.weight", 1, h.dim);
      at_ += static_cast<size_t>(h.length * h.head_dim()) * sizeof(float);  // RoPE tables
    } else {
      layers("input_layernorm", 1, h.dim);
      layers("post_attention_layernorm", 1, h.dim);
      place("model.norm.weight", 1, h.dim);
      place("model.embed_tokens.weight", h.vocab, h.dim);
      attention();
      mlp();
    }
    if (!h.shared_head) place("lm_head.weight", h.vocab, h.dim);
    if (at_ != file.bytes().size())
      fail(file.path(), cat("its header promises ", at_, " bytes, it has ", file.bytes().size()));
  }

  OutgoingTensor tensor(const WeightSpec& spec, Dtype dtype) const {
    const size_t at = where_.at(spec.name);
    const bool norm = spec.shape.size() == 1;
    const int64_t rows = norm ? 1 : spec.shape[0], columns = spec.shape.back();
    const std::byte* data = file_.bytes().data() + at;
    const std::string what = cat(file_.path().string(), ": ", spec.name);
    FloatRows from = mapped_rows(what, GgmlType::kF32, file_,
                                 file_.bytes().subspan(at, size(rows, columns)), rows, columns);
    if (h_.version == 2 && !norm) {
      from.row_bytes = size(rows, columns) / static_cast<size_t>(rows);
      from.read = [data, columns, group = h_.group, n = rows * columns](int64_t row, float* out) {
        for (int64_t i = 0; i < columns; ++i) {
          const int64_t e = row * columns + i;
          float scale;
          std::memcpy(&scale, data + n + e / group * 4, sizeof scale);
          out[i] = static_cast<float>(static_cast<int8_t>(data[e])) * scale;
        }
      };
    }
    // Like GGUF's, the rows of q and k are in Meta's order.
    if (rows_interleave("llama", spec.name))
      from = reordered_rows(std::move(from),
                            [d = h_.head_dim()](int64_t row) { return interleaved_row(row, d); });
    return converted(spec.name, dtype, spec.shape, std::move(from));
  }

 private:
  size_t size(int64_t rows, int64_t columns) const {
    const auto n = static_cast<size_t>(rows * columns);  // both at most 2^24
    const bool coded = h_.version == 2 && rows > 1;
    return coded ? n + n / static_cast<size_t>(h_.group) * sizeof(float) : n * sizeof(float);
  }
  void place(const std::string& name, int64_t rows, int64_t columns) {
    const size_t bytes = size(rows, columns);
    if (!in_range(at_, bytes, file_.bytes().size())) fail(file_.path(), cat("ends inside ", name));
    where_[name] = at_;
    at_ += bytes;
  }

  const MappedFile& file_;
  const Header& h_;
  size_t at_;
  std::map<std::string, size_t> where_;
};

}  // namespace

ImportReport import_llama2c(const fs::path& source, const fs::path& folder,
                            const ImportOptions& options) {
  const MappedFile file(source);
  const Header h = read_header(file);
  const Layout layout(file, h);
  ImportReport report;
  report.source = cat("llama2.c checkpoint of version ", h.version);
  const Dtype dtype = options.dtype.value_or(h.version == 2 ? Dtype::kBf16 : Dtype::kF32);
  Json config = Json::object({{"architectures", Json::array({"LlamaForCausalLM"})},
                              {"model_type", "llama"},
                              {"hidden_act", "silu"},
                              {"vocab_size", h.vocab},
                              {"hidden_size", h.dim},
                              {"intermediate_size", h.hidden},
                              {"num_hidden_layers", h.layers},
                              {"num_attention_heads", h.heads},
                              {"num_key_value_heads", h.kv_heads},
                              {"head_dim", h.head_dim()},
                              {"max_position_embeddings", h.length},
                              {"rms_norm_eps", 1e-5},
                              {"rope_theta", 10000.0},
                              {"tie_word_embeddings", h.shared_head},
                              {"attention_bias", false},
                              {"mlp_bias", false},
                              {"torch_dtype", torch_name(dtype)}});
  report.config = write_config(std::move(config), 1, {2}, std::nullopt, folder, source.string());
  const fs::path vocabulary = options.tokenizer.empty() ? find_llama2c_vocabulary(source, h.vocab)
                                                        : fs::path(options.tokenizer);
  GgufVocab vocab = read_llama2c_vocabulary(vocabulary, h.vocab);
  vocab.context_length = h.length;
  write_tokenizer_files(vocab, folder);
  if (vocabulary.extension() == ".model")  // keeps its normalisation rules
    write_text_file(folder / "tokenizer.model", MappedFile(vocabulary).text());
  std::vector<OutgoingTensor> tensors;
  for (const WeightSpec& spec : model_weights(report.config))
    tensors.push_back(layout.tensor(spec, dtype));
  write_tensors(tensors, folder, options, report);
  return report;
}

}  // namespace nibble
