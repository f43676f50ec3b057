// Definitions: diagonals and bands of matrices, and of batches of matrices in the last two dimensions.
#include <algorithm>

#include "core/base/diagonals.h"
#include "core/ops/known_ints.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

constexpr const char* kNumber =
    "T: {bfloat16, float16, float32, float64, int32, int64, complex64, complex128}";

void diag_shape(ShapeContext& c) {
  const Shape diagonal = c.with_rank_at_least(0, 1);
  c.output(0, diagonal.concat(diagonal));
}

void diag_part_shape(ShapeContext& c) {
  const Shape& input = c.input(0);
  if (!input.has_rank()) return;
  require(input.rank() > 0 && input.rank() % 2 == 0, "the rank must be even and not 0, but the shape is ",
          input);
  const int half = input.rank() / 2;
  const Shape first = input.slice(0, half), second = input.slice(half);
  require(first.compatible_with(second), "the first and the second half of shape ", input,
          " must be the same");
  c.output(0, first.merge(second));
}

void matrix_diag_shape(ShapeContext& c) {
  const Shape diagonal = c.with_rank_at_least(0, 1);
  if (diagonal.has_rank()) c.output(0, diagonal.concat(Shape{diagonal[-1]}));
}

std::int64_t shorter(std::int64_t a, std::int64_t b) {
  if (a == 0 || b == 0) return 0;
  return a == kUnknown || b == kUnknown ? kUnknown : std::min(a, b);
}

void matrix_diag_part_shape(ShapeContext& c) {
  const Shape matrix = c.with_rank_at_least(0, 2);
  if (matrix.has_rank()) c.output(0, matrix.slice(0, -2).concat(Shape{shorter(matrix[-2], matrix[-1])}));
}

void matrix_set_diag_shape(ShapeContext& c) {
  Shape matrix = c.with_rank_at_least(0, 2);
  const Shape diagonal = c.with_rank_at_least(1, 1);
  if (matrix.has_rank()) {
    const Shape expected = matrix.slice(0, -2).concat(Shape{shorter(matrix[-2], matrix[-1])});
    require(expected.compatible_with(diagonal), "the diagonal has shape ", diagonal,
            ", but the matrices of shape ", matrix, " have diagonals of shape ", expected);
  }
  c.output(0, matrix);
}

void matrix_band_part_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  c.with_rank(2, 0);
  c.output(0, c.with_rank_at_least(0, 2));
}

// ---- with any diagonal, or several at once

void band_diagonals_shape(ShapeContext& c, int k_input,
                          const std::function<void(const DiagonalBand*)>& rule) {
  const Shape& k = c.input(k_input);
  require(!k.has_rank() || k.rank() == 0 || (k.rank() == 1 && (k[0] == kUnknown || k[0] == 1 || k[0] == 2)),
          "k must be a number or (lowest, highest), got shape ", k);
  const auto values = c.ints(k_input);
  if (!values || std::find(values->begin(), values->end(), kUnknownValue) != values->end())
    return rule(nullptr);
  const DiagonalBand band(*values);
  rule(&band);
}

void matrix_diag_v2_shape(ShapeContext& c) {
  const Shape diagonal = c.with_rank_at_least(0, 1);
  for (int i = 2; i < 5; ++i) c.with_rank(i, 0);
  const auto rows = c.int_value(2), columns = c.int_value(3);
  band_diagonals_shape(c, 1, [&](const DiagonalBand* band) {
    if (!diagonal.has_rank() || !band) return;
    Shape batch = diagonal.slice(0, -1);
    if (!band->single()) {
      c.with_rank_at_least(0, 2);
      merge_dims(diagonal[-2], band->count(), "the number of diagonals and the second last dimension");
      batch = diagonal.slice(0, -2);
    }
    if (diagonal[-1] == kUnknown || !rows || !columns)
      return c.output(0, batch.concat(Shape{kUnknown, kUnknown}));
    const auto [height, width] = band->matrix_size(diagonal[-1], *rows, *columns);
    c.output(0, batch.concat(Shape{height, width}));
  });
}

void matrix_diag_part_v2_shape(ShapeContext& c) {
  const Shape matrix = c.with_rank_at_least(0, 2);
  c.with_rank(2, 0);
  band_diagonals_shape(c, 1, [&](const DiagonalBand* band) {
    if (!matrix.has_rank() || !band) return;
    std::int64_t length = kUnknown;
    if (matrix[-2] != kUnknown && matrix[-1] != kUnknown) length = band->length(matrix[-2], matrix[-1]);
    Shape shape = matrix.slice(0, -2);
    if (!band->single()) shape.push_back(band->count());
    shape.push_back(length);
    c.output(0, shape);
  });
}

void matrix_set_diag_v2_shape(ShapeContext& c) {
  const Shape matrix = c.with_rank_at_least(0, 2), diagonal = c.with_rank_at_least(1, 1);
  c.output(0, matrix);
  band_diagonals_shape(c, 2, [&](const DiagonalBand* band) {
    if (!matrix.has_rank() || !band || matrix[-2] == kUnknown || matrix[-1] == kUnknown) return;
    Shape expected = matrix.slice(0, -2);
    if (!band->single()) expected.push_back(band->count());
    expected.push_back(band->length(matrix[-2], matrix[-1]));
    require(expected.compatible_with(diagonal), "the diagonals have shape ", diagonal,
            ", but those of matrices of shape ", matrix, " have ", expected);
  });
}

}  // namespace

HEADRACE_OPS(diag) {
  op("MatrixDiagV2")
      .in("diagonal: T", "k: int32", "num_rows: int32", "num_cols: int32", "padding_value: T")
      .out("output: T")
      .attr("T: type")
      .shape(matrix_diag_v2_shape)
      .doc(
          "Matrices with these diagonals, the highest first and each from its beginning, and padding "
          "elsewhere.");
  op("MatrixDiagPartV2")
      .in("input: T", "k: int32", "padding_value: T")
      .out("diagonal: T")
      .attr("T: type")
      .shape(matrix_diag_part_v2_shape)
      .doc("Some diagonals of matrices, the highest first, the shorter ones padded at their end.");
  op("MatrixSetDiagV2")
      .in("input: T", "diagonal: T", "k: int32")
      .out("output: T")
      .attr("T: type")
      .shape(matrix_set_diag_v2_shape)
      .doc("The matrices with some diagonals replaced.");
  op("Diag")
      .in("diagonal: T")
      .out("output: T")
      .attr(kNumber)
      .shape(diag_shape)
      .doc("An array of twice the rank with the elements on its diagonal, and zeros elsewhere.");
  op("DiagPart")
      .in("input: T")
      .out("diagonal: T")
      .attr(kNumber)
      .shape(diag_part_shape)
      .doc("The diagonal of an array whose shape is twice the same.");
  op("MatrixDiag")
      .in("diagonal: T")
      .out("output: T")
      .attr("T: type")
      .shape(matrix_diag_shape)
      .doc("Square matrices with these diagonals, and zeros elsewhere.");
  op("MatrixDiagPart")
      .in("input: T")
      .out("diagonal: T")
      .attr("T: type")
      .shape(matrix_diag_part_shape)
      .doc("The diagonals of matrices.");
  op("MatrixSetDiag")
      .in("input: T", "diagonal: T")
      .out("output: T")
      .attr("T: type")
      .shape(matrix_set_diag_shape)
      .doc("The matrices with other diagonals.");
  op("MatrixBandPart")
      .in("input: T", "num_lower: Tindex", "num_upper: Tindex")
      .out("band: T")
      .attr("T: type", "Tindex: {int32, int64} = int64")
      .shape(matrix_band_part_shape)
      .doc(
          "The matrices with zeros outside of this many diagonals below and above the main one; -1 keeps "
          "all.");
}

}  // namespace headrace
