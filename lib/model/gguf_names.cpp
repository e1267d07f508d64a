// SPDX-License-Identifier: Apache-2.0
#include "model/gguf_names.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace nibble {
namespace {

struct Names {
  std::string_view hf, gguf;
};
// Of the whole model.
constexpr std::array kModel = {
    Names{"model.embed_tokens", "token_embd"},
    Names{"model.norm", "output_norm"},
    Names{"lm_head", "output"},
};
// Of layer N: model.layers.N.X and blk.N.X.
constexpr std::array kLayer = {
    Names{"input_layernorm", "attn_norm"},    Names{"self_attn.q_proj", "attn_q"},
    Names{"self_attn.k_proj", "attn_k"},      Names{"self_attn.v_proj", "attn_v"},
    Names{"self_attn.o_proj", "attn_output"}, Names{"self_attn.q_norm", "attn_q_norm"},
    Names{"self_attn.k_norm", "attn_k_norm"}, Names{"post_attention_layernorm", "ffn_norm"},
    Names{"mlp.gate_proj", "ffn_gate"},       Names{"mlp.up_proj", "ffn_up"},
    Names{"mlp.down_proj", "ffn_down"},
};
constexpr std::string_view kHfLayer = "model.layers.", kGgufLayer = "blk.";

// Translates a name whose layers start with `prefix`, looked up by member `from`.
std::optional<std::string> translate(std::string_view name, std::string_view Names::*from,
                                     std::string_view Names::*to, std::string_view prefix,
                                     std::string_view to_prefix) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::string_view part = name.substr(dot);  // ".weight"
  if (part != ".weight" && part != ".bias") return std::nullopt;
  std::string_view stem = name.substr(0, dot);
  for (const Names& n : kModel)
    if (n.*from == stem) return cat(n.*to, part);
  if (!stem.starts_with(prefix)) return std::nullopt;
  stem.remove_prefix(prefix.size());
  const size_t digits = std::min(stem.find_first_not_of("0123456789"), stem.size());
  if (digits == 0 || digits == stem.size() || stem[digits] != '.') return std::nullopt;
  const std::string_view layer = stem.substr(0, digits + 1);  // "3."
  for (const Names& n : kLayer)
    if (n.*from == stem.substr(digits + 1)) return cat(to_prefix, layer, n.*to, part);
  return std::nullopt;
}

}  // namespace

std::optional<std::string> gguf_name(std::string_view hf) {
  return translate(hf, &Names::hf, &Names::gguf, kHfLayer, kGgufLayer);
}

std::optional<std::string> hf_name(std::string_view gguf) {
  return translate(gguf, &Names::gguf, &Names::hf, kGgufLayer, kHfLayer);
}

bool rows_interleave(std::string_view architecture, std::string_view hf) {
  return architecture == "llama" && (hf.find(".self_attn.q_proj.") != std::string_view::npos ||
                                     hf.find(".self_attn.k_proj.") != std::string_view::npos);
}

}  // namespace nibble
