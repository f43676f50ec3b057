// Update rules of optimisers: one pass over a variable, its slots and the gradient, in place, under their
// locks.
//
// A rule is a struct: how many variables it changes, which scalars it takes, and a formula for one element.
// What is common to all rules (finding inputs, checking shapes, dense and sparse loops) is below them. Rules
// compute in float for 16-bit variables.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "core/base/parallel.h"
#include "core/registry/kernel.h"

namespace headrace {
namespace {

template <class... Names>
constexpr auto names(Names... n) {
  return std::array<const char*, sizeof...(Names)>{n...};
}

// The boolean attributes that some rules have.
struct Options {
  bool use_nesterov = false;
  bool update_slots = true;
};

template <class C>
C sign(C x) {
  return C(C(0) < x) - C(x < C(0));
}

// What minimises (y - x)^2 / 2 + l1 |y| + l2 y^2 / 2, l1 and l2 being times the step size.
template <class C>
C shrink(C x, C l1, C l2) {
  return sign(x) * std::max(std::abs(x) - l1, C(0)) / (C(1) + l2);
}

template <class C>
struct GradientDescent {
  static constexpr int variables = 1;
  static constexpr auto scalars = names("alpha");
  C alpha;
  GradientDescent(const C* s, Options) : alpha(s[0]) {}
  void operator()(C g, C& var) const { var -= alpha * g; }
};

template <class C>
struct Momentum {
  static constexpr int variables = 2;
  static constexpr auto scalars = names("lr", "momentum");
  C lr, momentum;
  bool nesterov;
  Momentum(const C* s, Options o) : lr(s[0]), momentum(s[1]), nesterov(o.use_nesterov) {}
  void operator()(C g, C& var, C& accum) const {
    accum = accum * momentum + g;
    var -= nesterov ? lr * (g + accum * momentum) : lr * accum;
  }
};

template <class C>
struct KerasMomentum {
  static constexpr int variables = 2;
  static constexpr auto scalars = names("lr", "momentum");
  C lr, momentum;
  bool nesterov;
  KerasMomentum(const C* s, Options o) : lr(s[0]), momentum(s[1]), nesterov(o.use_nesterov) {}
  void operator()(C g, C& var, C& accum) const {
    accum = accum * momentum - lr * g;
    var += nesterov ? accum * momentum - lr * g : accum;
  }
};

template <class C>
struct Adagrad {
  static constexpr int variables = 2;
  static constexpr auto scalars = names("lr");
  C lr;
  bool update_slots;
  Adagrad(const C* s, Options o) : lr(s[0]), update_slots(o.update_slots) {}
  void operator()(C g, C& var, C& accum) const {
    accum += update_slots ? g * g : C(0);
    var -= lr * g / std::sqrt(accum);
  }
};

template <class C>
struct AdagradV2 {
  static constexpr int variables = 2;
  static constexpr auto scalars = names("lr", "epsilon");
  C lr, epsilon;
  bool update_slots;
  AdagradV2(const C* s, Options o) : lr(s[0]), epsilon(s[1]), update_slots(o.update_slots) {}
  void operator()(C g, C& var, C& accum) const {
    accum += update_slots ? g * g : C(0);
    var -= lr * g / (std::sqrt(accum) + epsilon);
  }
};

template <class C>
struct AdagradDA {
  static constexpr int variables = 3;
  static constexpr auto scalars = names("lr", "l1", "l2", "global_step");
  C lr, l1, l2;  // penalties summed over the steps
  AdagradDA(const C* s, Options) : lr(s[0]), l1(s[1] * s[3]), l2(s[2] * s[3]) {}
  void operator()(C g, C& var, C& sum, C& squares) const {
    sum += g;
    squares += g * g;
    var = -lr * sign(sum) * std::max(std::abs(sum) - l1, C(0)) / (l2 * lr + std::sqrt(squares));
  }
};

template <class C>
struct Adadelta {
  static constexpr int variables = 3;
  static constexpr auto scalars = names("lr", "rho", "epsilon");
  C lr, rho, epsilon;
  Adadelta(const C* s, Options) : lr(s[0]), rho(s[1]), epsilon(s[2]) {}
  void operator()(C g, C& var, C& accum, C& accum_update) const {
    accum = accum * rho + g * g * (C(1) - rho);
    const C update = std::sqrt(accum_update + epsilon) / std::sqrt(accum + epsilon) * g;
    var -= lr * update;
    accum_update = accum_update * rho + update * update * (C(1) - rho);
  }
};

template <class C>
struct Adam {
  static constexpr int variables = 3;
  static constexpr auto scalars = names("beta1_power", "beta2_power", "lr", "beta1", "beta2", "epsilon");
  C alpha, beta1, beta2, epsilon;
  bool nesterov;
  Adam(const C* s, Options o)
      : alpha(s[2] * std::sqrt(C(1) - s[1]) / (C(1) - s[0])),
        beta1(s[3]),
        beta2(s[4]),
        epsilon(s[5]),
        nesterov(o.use_nesterov) {}
  void operator()(C g, C& var, C& m, C& v) const {
    m += (g - m) * (C(1) - beta1);
    v += (g * g - v) * (C(1) - beta2);
    var -= alpha * (nesterov ? g * (C(1) - beta1) + beta1 * m : m) / (std::sqrt(v) + epsilon);
  }
};

template <class C>
struct AdamWithAmsgrad {
  static constexpr int variables = 4;
  static constexpr auto scalars = names("beta1_power", "beta2_power", "lr", "beta1", "beta2", "epsilon");
  C alpha, beta1, beta2, epsilon;
  AdamWithAmsgrad(const C* s, Options)
      : alpha(s[2] * std::sqrt(C(1) - s[1]) / (C(1) - s[0])), beta1(s[3]), beta2(s[4]), epsilon(s[5]) {}
  void operator()(C g, C& var, C& m, C& v, C& vhat) const {
    m += (g - m) * (C(1) - beta1);
    v += (g * g - v) * (C(1) - beta2);
    vhat = std::max(vhat, v);
    var -= alpha * m / (std::sqrt(vhat) + epsilon);
  }
};

template <class C>
struct AdaMax {
  static constexpr int variables = 3;
  static constexpr auto scalars = names("beta1_power", "lr", "beta1", "beta2", "epsilon");
  C alpha, beta1, beta2, epsilon;
  AdaMax(const C* s, Options) : alpha(s[1] / (C(1) - s[0])), beta1(s[2]), beta2(s[3]), epsilon(s[4]) {}
  void operator()(C g, C& var, C& m, C& v) const {
    m += (g - m) * (C(1) - beta1);
    v = std::max(beta2 * v, std::abs(g));
    var -= alpha * m / (v + epsilon);
  }
};

template <class C>
struct RMSProp {
  static constexpr int variables = 3;
  static constexpr auto scalars = names("lr", "rho", "momentum", "epsilon");
  C lr, rho, momentum, epsilon;
  RMSProp(const C* s, Options) : lr(s[0]), rho(s[1]), momentum(s[2]), epsilon(s[3]) {}
  void operator()(C g, C& var, C& ms, C& mom) const {
    ms += (g * g - ms) * (C(1) - rho);
    mom = mom * momentum + lr * g / std::sqrt(ms + epsilon);
    var -= mom;
  }
};

template <class C>
struct CenteredRMSProp {
  static constexpr int variables = 4;
  static constexpr auto scalars = names("lr", "rho", "momentum", "epsilon");
  C lr, rho, momentum, epsilon;
  CenteredRMSProp(const C* s, Options) : lr(s[0]), rho(s[1]), momentum(s[2]), epsilon(s[3]) {}
  void operator()(C g, C& var, C& mg, C& ms, C& mom) const {
    ms += (g * g - ms) * (C(1) - rho);
    mg += (g - mg) * (C(1) - rho);
    mom = mom * momentum + lr * g / std::sqrt(ms - mg * mg + epsilon);
    var -= mom;
  }
};

// accum is the sum of squared gradients, linear the coefficient of the variable in the sum of losses.
template <class C>
struct Leader {
  C lr, l1, l2, shrinkage, power;
  Leader(C lr, C l1, C l2, C shrinkage, C lr_power)
      : lr(lr), l1(l1), l2(l2), shrinkage(shrinkage), power(-lr_power) {
    require(lr > C(0), "lr is ", double(lr), "; it must be positive");
    require(l1 >= C(0), "l1 is ", double(l1), "; it must not be negative");
    require(l2 >= C(0), "l2 is ", double(l2), "; it must not be negative");
    require(shrinkage >= C(0), "l2_shrinkage is ", double(shrinkage), "; it must not be negative");
    require(power >= C(0), "lr_power is ", double(lr_power), "; it must not be positive");
  }
  C root(C x) const { return power == C(0.5) ? std::sqrt(x) : std::pow(x, power); }
  void operator()(C g, C& var, C& accum, C& linear) const {
    const C root_now = root(accum + g * g);
    linear += g + C(2) * shrinkage * var - (root_now - root(accum)) / lr * var;
    accum += g * g;
    const C excess = l1 * sign(linear) - linear;
    var = std::abs(linear) > l1 ? excess / (root_now / lr + C(2) * l2) : C(0);
  }
};

template <class C>
struct Ftrl : Leader<C> {
  static constexpr int variables = 3;
  static constexpr auto scalars = names("lr", "l1", "l2", "lr_power");
  Ftrl(const C* s, Options) : Leader<C>(s[0], s[1], s[2], C(0), s[3]) {}
};

template <class C>
struct FtrlV2 : Leader<C> {
  static constexpr int variables = 3;
  static constexpr auto scalars = names("lr", "l1", "l2", "l2_shrinkage", "lr_power");
  FtrlV2(const C* s, Options) : Leader<C>(s[0], s[1], s[2], s[3], s[4]) {}
};

template <class C>
struct ProximalGradientDescent {
  static constexpr int variables = 1;
  static constexpr auto scalars = names("alpha", "l1", "l2");
  C alpha, l1, l2;
  ProximalGradientDescent(const C* s, Options) : alpha(s[0]), l1(s[1]), l2(s[2]) {}
  void operator()(C g, C& var) const { var = shrink(var - alpha * g, alpha * l1, alpha * l2); }
};

template <class C>
struct ProximalAdagrad {
  static constexpr int variables = 2;
  static constexpr auto scalars = names("lr", "l1", "l2");
  C lr, l1, l2;
  ProximalAdagrad(const C* s, Options) : lr(s[0]), l1(s[1]), l2(s[2]) {}
  void operator()(C g, C& var, C& accum) const {
    accum += g * g;
    const C step = lr / std::sqrt(accum);
    var = shrink(var - step * g, step * l1, step * l2);
  }
};

template <class C>
struct AddSign {
  static constexpr int variables = 2;
  static constexpr auto scalars = names("lr", "alpha", "sign_decay", "beta");
  C lr, alpha, sign_decay, beta;
  AddSign(const C* s, Options) : lr(s[0]), alpha(s[1]), sign_decay(s[2]), beta(s[3]) {}
  void operator()(C g, C& var, C& m) const {
    m = m * beta + g * (C(1) - beta);
    var -= lr * (alpha + sign_decay * sign(g) * sign(m)) * g;
  }
};

template <class C>
struct PowerSign {
  static constexpr int variables = 2;
  static constexpr auto scalars = names("lr", "logbase", "sign_decay", "beta");
  C lr, beta, agree, differ;  // the factors by which a gradient that agrees with m grows, or shrinks
  PowerSign(const C* s, Options)
      : lr(s[0]), beta(s[3]), agree(std::exp(s[1] * s[2])), differ(std::exp(-s[1] * s[2])) {}
  void operator()(C g, C& var, C& m) const {
    m = m * beta + g * (C(1) - beta);
    const C signs = sign(g) * sign(m);
    var -= lr * (signs > C(0) ? agree : signs < C(0) ? differ : C(1)) * g;
  }
};

// ---- what is common

// The variables do not overlap each other or the gradient, so that the loop can be vectorised.
template <class Rule, class T, class... Variables>
void update_range(const Rule rule, const T* grad, std::int64_t begin, std::int64_t end,
                  Variables*... variables) {
  using C = Compute<T>;
#pragma GCC ivdep
  for (std::int64_t i = begin; i < end; ++i) {
    std::tuple values(C(variables[i])...);
    std::apply([&](auto&... value) { rule(C(grad[i]), value...); }, values);
    std::apply([&](auto... value) { ((variables[i] = T(value)), ...); }, values);
  }
}

template <class Rule, class T, std::size_t N>
void update_range(const Rule& rule, const T* grad, std::int64_t begin, std::int64_t end,
                  const std::array<T*, N>& variables) {
  std::apply([&](auto*... variable) { update_range<Rule, T>(rule, grad, begin, end, variable...); },
             variables);
}

int position(const Node& node, std::string_view name) {
  const auto args = node.op().inputs();
  for (int i = 0; i < int(args.size()); ++i) {
    if (args[i].name == name) return i;
  }
  return -1;
}

double cost_of(int variables) { return 0.4 * (1 + variables); }  // ns: about the time that memory takes

// Row i of grad is for row indices[i]. Rows may repeat, so threads share out columns, never rows.
template <class Rule, class T, class Index, std::size_t N>
void update_rows(const Rule& rule, const T* grad, std::span<const Index> indices,
                 const std::array<T*, N>& values, const Shape& shape) {
  const std::int64_t rows = shape[0];
  for (std::size_t i = 0; i < indices.size(); ++i) {
    require(indices[i] >= 0 && indices[i] < rows, "indices[", i, "] is ", indices[i], ", the variable has ",
            rows, " rows; give indices in [0, ", rows, ")");
  }
  const std::int64_t width = indices.empty() ? 0 : shape.slice(1).size();
  parallel_for(width, cost_of(N) * double(indices.size()), [&](std::int64_t begin, std::int64_t end) {
    for (std::size_t i = 0; i < indices.size(); ++i) {
      std::array<T*, N> row = values;
      for (T*& value : row) value += std::int64_t(indices[i]) * width;
      update_range(rule, grad + std::int64_t(i) * width, begin, end, row);
    }
  });
}

// One update, or several of one rule that were joined (registry/joined.h): the inputs of the first, then
// those of the second...
template <class R, class T>
class Updates {
 public:
  using C = Compute<T>;
  static constexpr std::size_t N = R::variables;
  static constexpr std::size_t S = R::scalars.size();

  explicit Updates(PrepareContext& c) {
    const Node& node = c.node();
    for (std::size_t i = 0; i < S; ++i) scalars_[i] = position(node, R::scalars[i]);
    grad_ = std::max(position(node, "grad"), position(node, "delta"));
    indices_ = position(node, "indices");
    wide_ = indices_ >= 0 && c.input_dtype(indices_) == DType::int64;
    count_ = indices_ >= 0 ? c.input_shape(indices_).size() : 0;
    options_ = {node.attr_or("use_nesterov", false), node.attr_or("update_slots", true)};
    for (std::size_t i = 0; i < S; ++i) is_step_[i] = c.input_dtype(scalars_[i]) == DType::int64;
    inputs_ = int(node.op().inputs().size()) - (node.has_attr("Tothers") ? 1 : 0);
    for (int first = 0; first < c.num_inputs(); first += inputs_)
      shapes_.push_back(c.input_shape(first + grad_));
  }

  void run(RunContext& r) const {
    std::vector<Variable*> variables;
    for (std::size_t item = 0; item < shapes_.size(); ++item) {
      for (std::size_t i = 0; i < N; ++i) variables.push_back(&r.resource<Variable>(input(item, int(i))));
    }
    // Two handles may name one variable: then one update comes after the other.
    std::vector<Variable*> sorted = variables;
    std::sort(sorted.begin(), sorted.end());
    const bool apart = std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
    const std::size_t at_once = apart ? shapes_.size() : 1;
    for (std::size_t item = 0; item < shapes_.size(); item += at_once) {
      const std::span<Variable* const> own = std::span(variables).subspan(item * N, at_once * N);
      const auto update = [&](std::span<Tensor> tensors) { update_all(r, item, own, tensors); };
      Variable::update(own, std::ref(update));
    }
  }

 private:
  int input(std::size_t item, int i) const { return int(item) * inputs_ + i; }

  R rule(const RunContext& r, std::size_t item) const {
    std::array<C, S> s;
    for (std::size_t i = 0; i < S; ++i) {
      const int at = input(item, scalars_[i]);
      s[i] = is_step_[i] ? C(*r.input<std::int64_t>(at)) : C(*r.input<T>(at));
    }
    return R(s.data(), options_);
  }

  // Items from `first` on, whose variables' values these are.
  void update_all(const RunContext& r, std::size_t first, std::span<Variable* const> variables,
                  std::span<Tensor> tensors) const {
    struct Item {
      R rule;
      const T* grad;
      std::array<T*, N> values;
      std::int64_t begin;  // among the elements of all
    };
    std::vector<Item> items;
    std::int64_t total = 0;
    for (std::size_t i = 0; i < variables.size() / N; ++i) {
      const auto own = tensors.subspan(i * N, N);
      check(variables.subspan(i * N, N), own, shapes_[first + i]);
      Item item{rule(r, first + i), r.input<T>(input(first + i, grad_)), {}, total};
      for (std::size_t j = 0; j < N; ++j) item.values[j] = own[j].template data<T>();
      items.push_back(std::move(item));
      total += own[0].size();
    }
    if (indices_ >= 0) return update_indexed(r, items[0].rule, items[0].grad, items[0].values, tensors[0]);
    parallel_for(total, cost_of(N), [&](std::int64_t begin, std::int64_t end) {
      auto item = std::upper_bound(items.begin(), items.end(), begin,
                                   [](std::int64_t at, const Item& one) { return at < one.begin; });
      for (--item; begin < end; ++item) {
        const std::int64_t item_end = item + 1 == items.end() ? total : (item + 1)->begin;
        const std::int64_t until = std::min(end, item_end);
        update_range(item->rule, item->grad, begin - item->begin, until - item->begin, item->values);
        begin = until;
      }
    });
  }

  void check(std::span<Variable* const> variables, std::span<const Tensor> tensors, const Shape& grad) const {
    const Shape& shape = tensors[0].shape();
    for (std::size_t i = 0; i < N; ++i) {
      require(tensors[i].dtype() == dtype_v<T>, "variable '", variables[i]->name(), "' is ",
              name_of(tensors[i].dtype()), ", the gradient is ", name_of(dtype_v<T>),
              "; they must be the same");
      require(tensors[i].shape() == shape, "slot '", variables[i]->name(), "' has shape ", tensors[i].shape(),
              ", its variable '", variables[0]->name(), "' has ", shape, "; they must be the same");
    }
    if (indices_ < 0) {
      require(grad == shape, "the gradient has shape ", grad, ", variable '", variables[0]->name(), "' has ",
              shape, "; they must be the same");
    } else {
      require(shape.rank() > 0 && grad.slice(1) == shape.slice(1), "the gradient has rows of shape ",
              grad.slice(1), ", variable '", variables[0]->name(), "' has shape ", shape,
              "; its rows must have the same shape");
    }
  }

  void update_indexed(const RunContext& r, const R& rule, const T* grad, const std::array<T*, N>& values,
                      const Tensor& variable) const {
    const auto rows = [&]<class Index>(std::type_identity<Index>) {
      const std::span indices(r.input<Index>(indices_), std::size_t(count_));
      update_rows<R, T, Index, N>(rule, grad, indices, values, variable.shape());
    };
    wide_ ? rows(std::type_identity<std::int64_t>()) : rows(std::type_identity<std::int32_t>());
  }

  std::array<int, S> scalars_;
  std::array<bool, S> is_step_;  // the one scalar that is an int64
  int grad_, indices_, inputs_;  // positions of inputs, and how many one update has
  bool wide_;
  std::int64_t count_;
  Options options_;
  std::vector<Shape> shapes_;  // of the gradients
};

template <template <class> class Rule>
void add_rule(const char* op) {
  const auto prepare = [](PrepareContext& c) {
    std::unique_ptr<Kernel> made;
    visit(FloatTypes{}, c.node().attr<DType>("T"), [&]<class T>(std::type_identity<T>) {
      made = kernel([updates = Updates<Rule<Compute<T>>, T>(c)](RunContext& r) { updates.run(r); });
    });
    return made;
  };
  add_kernel(op, prepare);
  if (!std::string_view(op).starts_with("ResourceSparse")) add_kernel(str("_Joined", op), prepare);
}

}  // namespace

HEADRACE_KERNELS(train) {
  add_rule<GradientDescent>("ResourceApplyGradientDescent");
  add_rule<Momentum>("ResourceApplyMomentum");
  add_rule<Momentum>("ResourceSparseApplyMomentum");
  add_rule<KerasMomentum>("ResourceApplyKerasMomentum");
  add_rule<KerasMomentum>("ResourceSparseApplyKerasMomentum");
  add_rule<Adagrad>("ResourceApplyAdagrad");
  add_rule<Adagrad>("ResourceSparseApplyAdagrad");
  add_rule<AdagradV2>("ResourceApplyAdagradV2");
  add_rule<AdagradV2>("ResourceSparseApplyAdagradV2");
  add_rule<AdagradDA>("ResourceApplyAdagradDA");
  add_rule<AdagradDA>("ResourceSparseApplyAdagradDA");
  add_rule<Adadelta>("ResourceApplyAdadelta");
  add_rule<Adadelta>("ResourceSparseApplyAdadelta");
  add_rule<Adam>("ResourceApplyAdam");
  add_rule<AdamWithAmsgrad>("ResourceApplyAdamWithAmsgrad");
  add_rule<AdaMax>("ResourceApplyAdaMax");
  add_rule<RMSProp>("ResourceApplyRMSProp");
  add_rule<RMSProp>("ResourceSparseApplyRMSProp");
  add_rule<CenteredRMSProp>("ResourceApplyCenteredRMSProp");
  add_rule<CenteredRMSProp>("ResourceSparseApplyCenteredRMSProp");
  add_rule<Ftrl>("ResourceApplyFtrl");
  add_rule<Ftrl>("ResourceSparseApplyFtrl");
  add_rule<FtrlV2>("ResourceApplyFtrlV2");
  add_rule<FtrlV2>("ResourceSparseApplyFtrlV2");
  add_rule<ProximalGradientDescent>("ResourceApplyProximalGradientDescent");
  add_rule<ProximalGradientDescent>("ResourceSparseApplyProximalGradientDescent");
  add_rule<ProximalAdagrad>("ResourceApplyProximalAdagrad");
  add_rule<ProximalAdagrad>("ResourceSparseApplyProximalAdagrad");
  add_rule<AddSign>("ResourceApplyAddSign");
  add_rule<PowerSign>("ResourceApplyPowerSign");
}

}  // namespace headrace
