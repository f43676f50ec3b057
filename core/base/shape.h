// Shapes, full or partly known, with arithmetic that cannot overflow unnoticed.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <span>
#include <string>
#include <vector>

namespace headrace {

// A dimension that is not known (yet).
inline constexpr std::int64_t kUnknown = -1;

// a * b and a + b of non-negative sizes; InvalidArgument "... overflows" instead of wrapping.
std::int64_t checked_mul(std::int64_t a, std::int64_t b);
std::int64_t checked_add(std::int64_t a, std::int64_t b);

// The rank may be unknown; if it is known, each dimension is >= 0 or kUnknown.
// A Shape with known rank and no unknown dimension is *full*; tensors and kernels only meet full ones.
class Shape {
 public:
  Shape() = default;  // a scalar
  Shape(std::initializer_list<std::int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(const std::vector<std::int64_t>& dims) : Shape(std::span(dims)) {}
  explicit Shape(std::span<const std::int64_t> dims);
  static Shape unknown();
  static Shape unknown_of_rank(int rank);

  bool has_rank() const { return has_rank_; }
  bool is_full() const;
  int rank() const;  // -1 if unknown
  // Dimension i, counted from the end if negative. kUnknown where the rank is unknown.
  std::int64_t operator[](int i) const;
  std::int64_t dim(int i) const { return (*this)[i]; }
  std::span<const std::int64_t> dims() const {
    return many_.empty() ? std::span(few_.data(), std::size_t(count_)) : std::span(many_);
  }
  void set_dim(int i, std::int64_t size);
  void push_back(std::int64_t size);

  // Number of elements; kUnknown if not full. InvalidArgument on overflow.
  std::int64_t size() const;

  // Whether some full shape satisfies both.
  bool compatible_with(const Shape& other) const;
  // The most specific shape that both allow; InvalidArgument if there is none.
  Shape merge(const Shape& other) const;
  // The most specific shape that allows all that either allows.
  Shape relax(const Shape& other) const;
  Shape concat(const Shape& tail) const;
  // Dimensions [begin, end), negative counted from the end.
  Shape slice(int begin, int end) const;
  Shape slice(int begin) const;

  bool operator==(const Shape& other) const;  // unknown equals unknown
  std::string str() const;                    // "(2, ?, 3)", "?" for unknown rank

 private:
  bool has_rank_ = true;
  std::span<std::int64_t> own_dims() {
    return many_.empty() ? std::span(few_.data(), std::size_t(count_)) : std::span(many_);
  }
  // Shapes come and go with every tensor, so the usual ones need no memory of their own: up to kFew
  // dimensions are in `few_`, more are in `many_` with a count of 0.
  static constexpr int kFew = 6;
  int count_ = 0;
  std::array<std::int64_t, kFew> few_{};
  std::vector<std::int64_t> many_;
};

std::ostream& operator<<(std::ostream& out, const Shape& shape);

// The shape of NumPy broadcasting two (partial) shapes; InvalidArgument naming both if they do not broadcast.
Shape broadcast(const Shape& a, const Shape& b);

// An axis in [-rank, rank) as one in [0, rank); InvalidArgument that names both otherwise.
int normalize_axis(std::int64_t axis, int rank);

// Row-major strides, in elements.
std::vector<std::int64_t> strides_of(std::span<const std::int64_t> dims);

}  // namespace headrace
