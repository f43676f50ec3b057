// Finds the largest eigenvalue of a symmetric matrix by power iteration: a graph is built once through the
// C++ front end, and a session runs it until the value stands still.
//
//   g++ -std=c++20 -I. examples/cc/power_iteration.cc -Lheadrace -lheadrace -Wl,-rpath,$PWD/headrace
#include <cmath>
#include <cstdio>

#include "core/cc/headrace.hpp"

int main() {
  using namespace headrace::cc;
  Graph graph;
  const Node a = graph.constant(Tensor::of<double>({3, 3}, {4, 1, 0, 1, 3, 1, 0, 1, 2}), "a");
  const Node x = graph.placeholder(HR_FLOAT64, {3, 1}, "x");
  const Node y = graph.add("MatMul", {a, x}, {}, "y");
  const Node squared = graph.add("MatMul", {y, y}, {{"transpose_a", true}}, "squared");
  const Node length = graph.add("Sqrt", {squared}, {}, "length");
  const Node next = graph.add("RealDiv", {y, length}, {}, "next");

  Session session(graph);
  Tensor guess = Tensor::of<double>({3, 1}, {1, 0, 0});
  double eigenvalue = 0, before = -1;
  int steps = 0;
  while (std::abs(eigenvalue - before) > 1e-12) {
    const std::vector<Tensor> results = session.run({{x, guess}}, {length, next});
    before = eigenvalue;
    eigenvalue = results[0].data<double>()[0];
    guess = results[1];
    ++steps;
  }
  std::printf("the largest eigenvalue is %.12f, found in %d steps\n", eigenvalue, steps);
}
