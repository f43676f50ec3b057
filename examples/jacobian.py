"""A vector-valued function, its Jacobian, and the tangent plane that it spans, as a picture.

The function maps the plane to space, (u, v) -> a torus. Its Jacobian at a point has two columns, which are
tangent vectors of the surface there; the graph computes all of it in one run.

    python examples/jacobian.py [--picture jacobian.png]
"""

import argparse

import numpy as np

import headrace as tf


def torus(p):
    """Points of a torus for parameters p = [..., (u, v)]."""
    u, v = p[..., 0], p[..., 1]
    ring = 2.0 + 0.8 * tf.cos(v)
    return tf.stack([ring * tf.cos(u), ring * tf.sin(u), 0.8 * tf.sin(v)], axis=-1)


def compute(at):
    """The surface on a grid, and at one point its position, its Jacobian and a numeric derivative."""
    grid = np.linspace(0, 2 * np.pi, 61)
    mesh = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1)
    with tf.Graph().as_default(), tf.Session() as session:
        p = tf.placeholder(tf.float64, [2], name="p")
        point = torus(p)
        jacobian = tf.jacobian(point, p)
        surface = torus(tf.constant(mesh))
        position, derivative, everywhere = session.run([point, jacobian, surface], {p: at})
        steps = 1e-6 * np.eye(2)
        numeric = [(session.run(point, {p: at + h}) - session.run(point, {p: at - h})) / 2e-6 for h in steps]
    return everywhere, position, derivative, np.stack(numeric, axis=1)


def save_picture(path, surface, position, jacobian):
    """The surface, the point, the two tangent vectors and the plane that they span."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(8, 6), constrained_layout=True)
    axes = figure.add_subplot(projection="3d")
    axes.plot_surface(*np.moveaxis(surface, -1, 0), alpha=0.25, color="tab:blue", linewidth=0)
    directions = jacobian / np.linalg.norm(jacobian, axis=0)
    s, t = np.meshgrid([-0.9, 0.9], [-0.9, 0.9])
    plane = position + s[..., None] * directions[:, 0] + t[..., None] * directions[:, 1]
    axes.plot_surface(*np.moveaxis(plane, -1, 0), alpha=0.7, color="tab:orange", edgecolor="saddlebrown")
    for column, name in zip(jacobian.T, ("∂f/∂u", "∂f/∂v")):
        axes.quiver(*position, *column, color="black", arrow_length_ratio=0.12)
        axes.text(*(position + 1.1 * column), name)
    axes.scatter(*position, color="tab:red", s=40, depthshade=False)
    axes.set(xlim=(-2.9, 2.9), ylim=(-2.9, 2.9), zlim=(-1.2, 1.2), xlabel="x", ylabel="y", zlabel="z")
    axes.set_box_aspect((2.9, 2.9, 1.2), zoom=1.15)
    axes.view_init(elev=38, azim=-62)
    axes.set_title("The columns of the Jacobian span the tangent plane")
    figure.savefig(path, dpi=100)


def main(picture="jacobian.png"):
    """Computes, checks, prints and draws; returns the largest difference from the numeric derivative."""
    surface, position, jacobian, numeric = compute(np.array([-0.9, 0.7]))
    error = float(np.abs(jacobian - numeric).max())
    print("f(p) =", np.round(position, 4))
    print("Jacobian =", *np.round(jacobian, 4), sep="\n  ")
    print(f"largest difference from central differences: {error:.1e}")
    if picture:
        save_picture(picture, surface, position, jacobian)
        print(f"picture saved to {picture}")
    return error


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", default="jacobian.png")
    main(parser.parse_args().picture)
