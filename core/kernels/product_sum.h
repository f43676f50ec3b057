// Sums of products of matrices that come one after another, as they do in a loop.
#pragma once

#include <functional>

#include "core/base/tensor.h"
#include "core/graph/handle.h"
#include "core/registry/kernel.h"

namespace headrace {

// total + a_1^T b_1 + a_2^T b_2 + ... = total + [a_1; a_2; ...]^T [b_1; b_2; ...]
//
// Factors are collected, as rows below each other, until there are enough for a product that runs at the
// machine's speed and reads and writes the total once for many of them. So the sum takes a bounded amount of
// memory, however many products there are.
class ProductSum final : public Holder {
 public:
  explicit ProductSum(Tensor total) : total_(std::move(total)) {}
  ProductSum(const ProductSum& other);

  std::string describe() const override;
  HandleType holds() const override { return {total_.dtype(), total_.shape()}; }

  // So many rows are multiplied at once where factors have `rows`.
  static std::int64_t rows_at_once(std::int64_t rows);
  // Adds a^T b to the total, in place.
  using Multiply = std::function<void(const void* a, const void* b, void* total)>;
  // Adds the product of factors with `rows` rows; `multiply` takes rows_at_once(rows) of them. Without it,
  // and for what is left over, there is a product of our own.
  void add(const void* a, const void* b, std::int64_t rows, const Multiply& multiply);
  // All of the sum.
  const Tensor& total();

 private:
  void flush();
  void multiply_plainly(const void* a, const void* b, std::int64_t rows);

  Tensor total_;
  Tensor a_, b_;  // what is collected: the first rows of these
  std::int64_t collected_ = 0;
};

// What an _AddProduct adds: the transpose of a (rows, m) times b (rows, n).
struct Factors {
  explicit Factors(const PrepareContext& c);
  void add(RunContext& r, const ProductSum::Multiply& multiply) const;

  const std::int64_t rows, m, n;
};

}  // namespace headrace
