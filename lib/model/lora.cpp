// SPDX-License-Identifier: Apache-2.0
#include "model/lora.h"

#include <algorithm>
#include <cmath>

#include "base/quote.h"
#include "base/rng.h"
#include "model/module_match.h"

namespace nibble {
namespace {

const std::string kPrefix = "base_model.model.";  // before every name in an adapter's file

void check(const LoraConfig& c) {
  const auto check_rank = [](int64_t rank) {
    if (rank < 1 || rank > 1 << 16) throw UsageError(cat("a rank of ", rank, "; give 1 to 65536"));
  };
  const auto check_alpha = [](double alpha) {
    if (!std::isfinite(alpha)) throw UsageError("alpha is not a finite number");
  };
  check_rank(c.rank);
  check_alpha(c.alpha);
  for (const auto& [name, rank] : c.rank_pattern) check_rank(rank);
  for (const auto& [name, alpha] : c.alpha_pattern) check_alpha(alpha);
  if (!(c.dropout >= 0.0 && c.dropout < 1.0))
    throw UsageError(cat("a dropout of ", c.dropout, "; give 0 to below 1"));
  if (!c.targets_expression.empty() && !c.layers_to_transform.empty())
    throw UsageError("layers are chosen beside a regular expression of targets; name them in it");
}

// The modules that are no linear layer of a block: PEFT refuses to adapt most of them, nibble all.
std::vector<std::string> other_modules(const Model& model) {
  std::vector<std::string> out = {"model",      "model.embed_tokens", "model.layers",
                                  "model.norm", "model.rotary_emb",   "lm_head"};
  for (size_t l = 0; l < model.blocks.size(); ++l) {
    const Block& block = model.blocks[l];
    const std::string layer = cat("model.layers.", l);
    for (const char* part : {"", ".self_attn", ".mlp", ".mlp.act_fn"}) out.push_back(layer + part);
    for (const Table* t : {&block.attention_norm, &block.mlp_norm, &block.q_norm, &block.k_norm})
      if (t->weight) out.push_back(t->name);
  }
  return out;
}

class Attacher {
 public:
  Attacher(Model& model, const LoraConfig& config)
      : model_(model), config_(config), match_(config) {}

  void run() {
    refuse_other_targets();
    embedding_and_head();
    for (Block& b : model_.blocks) {
      norm(b.attention_norm);
      group(b.qkv);
      if (model_.config.qk_norm) {
        norm(b.q_norm);
        norm(b.k_norm);
      }
      group(b.output);
      norm(b.mlp_norm);
      group(b.gate_up);
      group(b.down);
    }
    norm(model_.norm);
    if (config_.targets.empty() && config_.targets_expression.empty())
      throw UsageError("no targets are named; name linear layers, q_proj for instance");
    if (adapted_ == 0)
      throw UsageError(cat("the targets ", targets_text(),
                           " name no linear layer of the model; name some, q_proj for instance"));
    for (const std::string& name : config_.modules_to_save) check_saved(name);
  }

 private:
  ParameterSet& parameters() { return model_.parameters; }

  std::string targets_text() const {
    if (!config_.targets_expression.empty()) return quote(config_.targets_expression);
    std::string out;
    for (const std::string& t : config_.targets) out += cat(out.empty() ? "" : ", ", quote(t));
    return out;
  }

  void refuse_other_targets() const {
    for (const std::string& name : other_modules(model_)) {
      if (match_.is_target(name, false))
        throw UnavailableError(cat("an adapter on the module ", quote(name),
                                   " is not supported; it can be trained in full "
                                   "(modules_to_save), or take it from the targets"));
    }
  }

  // A module that holds others is not trained as one: it is refused, not passed over.
  void check_saved(const std::string& suffix) const {
    if (std::find_if(saved_.begin(), saved_.end(), [&](const std::string& name) {
          return name.ends_with(suffix);
        }) != saved_.end())
      return;
    throw UsageError(cat("modules_to_save: ", quote(suffix),
                         " names no weight of the model; embed_tokens, lm_head, a norm or a linear "
                         "layer can be trained in full"));
  }

  int add_full(const std::string& name, std::vector<int64_t> shape, bool decays) {
    return parameters().add(kPrefix + name, std::move(shape), decays);
  }

  bool saves(const std::string& name) {
    if (!match_.is_saved(name)) return false;
    saved_.push_back(name);
    return true;
  }

  void norm(Table& table) {
    if (saves(table.name))
      table.parameter = add_full(table.name + ".weight", {table.weight.dim(0)}, false);
  }

  void embedding_and_head() {
    const ModelConfig& c = model_.config;
    const bool embedding = saves(model_.embedding.name), head = saves(model_.head.name);
    const bool together = c.tied_embeddings && config_.ensure_weight_tying && (embedding || head);
    if (embedding || together)
      model_.embedding.parameter =
          add_full(model_.embedding.name + ".weight", {c.vocab_size, c.hidden_size}, true);
    if (together)
      model_.head.weight_parameter = model_.embedding.parameter;
    else if (head)
      full_weight(model_.head);
    const bool grown = c.vocab_size != model_.embedding.weight.dim(0);
    if (grown && (model_.embedding.parameter < 0 || model_.head.weight_parameter < 0))
      throw UsageError(
          "tokens were added, so embed_tokens and lm_head must both be trained in full "
          "(modules_to_save)");
  }

  void full_weight(Projection& p) {
    if (p.quantized)
      throw UnavailableError(cat("modules_to_save: ", quote(p.name),
                                 " is quantised and cannot be trained in full; quantise the model "
                                 "with --skip=",
                                 p.name));
    p.weight_parameter = add_full(p.name + ".weight", {p.out_features, p.in_features}, true);
  }

  void group(LinearGroup& g) {
    // All A of a group lie one under another, so that they are one product; then the B.
    for (Projection& p : g.parts) {
      ++index_;
      if (saves(p.name)) {
        full_weight(p);
      } else if (match_.is_target(p.name, true)) {
        const int64_t rank = match_.rank(p.name);
        p.lora_a = add_full(p.name + ".lora_A.weight", {rank, p.in_features}, true);
        const double size =
            config_.use_rslora ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank);
        p.lora_scale = static_cast<float>(match_.alpha(p.name) / size);
        p.dropout_stream = static_cast<uint64_t>(RngStream::kDropout) | index_ << 8;
        ++adapted_;
      }
    }
    for (Projection& p : g.parts)
      if (p.lora_a >= 0)
        p.lora_b = add_full(p.name + ".lora_B.weight", {p.out_features, match_.rank(p.name)}, true);
    for (Projection& p : g.parts) bias(p);
  }

  void bias(Projection& p) {
    if (!p.bias) return;
    const bool adapted = p.lora_a >= 0;
    const bool trained = p.weight_parameter >= 0 || config_.bias == LoraBias::kAll ||
                         (config_.bias == LoraBias::kLoraOnly && adapted);
    if (trained)
      p.bias_parameter =
          add_full(p.name + (adapted ? ".base_layer.bias" : ".bias"), {p.out_features}, false);
  }

  Model& model_;
  const LoraConfig& config_;
  ModuleMatch match_;
  std::vector<std::string> saved_;
  uint64_t index_ = 0;
  int64_t adapted_ = 0;
};

}  // namespace

void attach_lora(Model& model, const LoraConfig& config) {
  CHECK(model.parameters.empty());
  check(config);
  Attacher(model, config).run();
}

void attach_full(Model& model) {
  CHECK(model.parameters.empty());
  ParameterSet& parameters = model.parameters;
  const ModelConfig& c = model.config;
  const auto table = [&](Table& t) {
    if (t.weight) t.parameter = parameters.add(t.name + ".weight", {t.weight.dim(0)}, false);
  };
  const auto linear = [&](Projection& p) {
    if (p.quantized)
      throw UnavailableError(cat("the weight of ", quote(p.name),
                                 " is quantised; --method=full trains dense models, this one takes "
                                 "an adapter (--method=lora)"));
    p.weight_parameter = parameters.add(p.name + ".weight", {p.out_features, p.in_features}, true);
    if (p.bias) p.bias_parameter = parameters.add(p.name + ".bias", {p.out_features}, false);
  };
  model.embedding.parameter =
      parameters.add(model.embedding.name + ".weight", {c.vocab_size, c.hidden_size}, true);
  for (Block& b : model.blocks) {
    table(b.attention_norm);
    for (LinearGroup* g : {&b.qkv, &b.output})
      for (Projection& p : g->parts) linear(p);
    table(b.q_norm);
    table(b.k_norm);
    table(b.mlp_norm);
    for (LinearGroup* g : {&b.gate_up, &b.down})
      for (Projection& p : g->parts) linear(p);
  }
  table(model.norm);
  if (c.tied_embeddings)
    model.head.weight_parameter = model.embedding.parameter;
  else
    linear(model.head);
}

}  // namespace nibble
