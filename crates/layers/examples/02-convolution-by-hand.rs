//! A 3×3 image and a 2×2 kernel: every number of a convolutional layer, forward and
//! backward, small enough to check with a pencil.
//!
//!     cargo run -p layers --example 02-convolution-by-hand

use tensor::{
    ShapeError, Tensor, convolve_full, convolve_valid, correlate_full, correlate_valid, rotate180,
};

type Plane = Tensor<f64>;

fn main() -> Result<(), ShapeError> {
    let x = plane([3, 3], [1, 6, 2, 5, 3, 1, 7, 0, 4])?;
    let k = plane([2, 2], [1, 2, -1, 0])?;
    print("image X", &x);
    print("kernel K", &k);
    forward(&x, &k)?;
    backward(&x, &k)
}

fn forward(x: &Plane, k: &Plane) -> Result<(), ShapeError> {
    println!("== Valid cross-correlation: the kernel stays inside the image ==");
    println!("(X ⋆ K)[y,x] = Σ X[y+ky, x+kx] · K[ky,kx]\n");
    let y = correlate_valid(x, k)?;
    let [height, width] = axes(&y);
    for row in 0..height {
        for column in 0..width {
            println!("  [{row},{column}]: {} = {}", terms(x, k, row, column), at(&y, row, column));
        }
    }
    print("\nX ⋆valid K", &y);

    println!("== Full cross-correlation: the kernel touches the image in one element at least ==");
    println!("The same sum, with X zero outside its borders.\n");
    print("X ⋆full K", &correlate_full(x, k)?);

    println!("== Convolution: correlation with the kernel turned by 180° ==");
    println!("X * K = X ⋆ rot180(K). Turned, not transposed: rows and columns both backwards.\n");
    print("rot180(K)", &rotate180(k)?);
    print("X *valid K", &convolve_valid(x, k)?);
    print("X *full K", &convolve_full(x, k)?);
    Ok(())
}

/// The layer's output is Y = X ⋆valid K. Let the error be E = Σ G · Y for some numbers G: then
/// ∂E/∂Y = G, whatever layers follow.
fn backward(x: &Plane, k: &Plane) -> Result<(), ShapeError> {
    let g = plane([2, 2], [1, -1, 2, 3])?;
    print("output gradient G = ∂E/∂Y", &g);
    let error = |x: &Plane, k: &Plane| -> Result<f64, ShapeError> {
        let y = correlate_valid(x, k)?;
        Ok(y.as_slice().iter().zip(g.as_slice()).map(|(y, g)| y * g).sum())
    };

    println!("== Gradient of the kernel ==");
    println!("K[ky,kx] is multiplied by X[y+ky, x+kx] on its way into every Y[y,x], so");
    println!("∂E/∂K[ky,kx] = Σ G[y,x] · X[y+ky, x+kx]: a valid correlation of X with G.\n");
    print("X ⋆valid G", &correlate_valid(x, &g)?);
    print("by finite differences", &differences(k, |k| error(x, k))?);

    println!("== Gradient of the input ==");
    println!("X[i,j] enters Y[y,x] with the factor K[i−y, j−x], wherever that exists:");
    println!("∂E/∂X[i,j] = Σ G[y,x] · K[i−y, j−x].");
    println!("The minus signs make it a convolution; since every X that meets some Y counts, at");
    println!("the corners too, it is the full one. The output has the shape of X again.\n");
    let right = convolve_full(&g, k)?;
    let measured = differences(x, |x| error(x, k))?;
    print("G *full K", &right);
    print("by finite differences", &measured);

    // A full correlation is sometimes written here. It is right only if K = rot180(K).
    let wrong = correlate_full(&g, k)?;
    print("G ⋆full K, which is wrong for this kernel", &wrong);
    println!("largest distance from the finite differences:");
    println!("  convolution {:.1e}", distance(&right, &measured));
    println!("  correlation {:.1e}", distance(&wrong, &measured));
    Ok(())
}

/// `(f(x + h) − f(x − h)) / 2h` for each element of `x`.
fn differences(
    x: &Plane,
    f: impl Fn(&Plane) -> Result<f64, ShapeError>,
) -> Result<Plane, ShapeError> {
    const H: f64 = 1e-4;
    let mut gradient = x.clone();
    for index in 0..x.as_slice().len() {
        let moved = |step: f64| {
            let mut moved = x.clone();
            moved.as_mut_slice()[index] += step;
            f(&moved)
        };
        gradient.as_mut_slice()[index] = (moved(H)? - moved(-H)?) / (2.0 * H);
    }
    Ok(gradient)
}

fn distance(a: &Plane, b: &Plane) -> f64 {
    let pairs = a.as_slice().iter().zip(b.as_slice());
    // `f64::max` would drop a NaN.
    let larger = |most: f64, d| if most.is_nan() || d <= most { most } else { d };
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, larger)
}

fn plane<const N: usize>(shape: [usize; 2], numbers: [i32; N]) -> Result<Plane, ShapeError> {
    Tensor::from_vec(shape, numbers.map(f64::from).to_vec())
}

fn axes(plane: &Plane) -> [usize; 2] {
    plane.shape().axes().unwrap_or_default()
}

fn at(plane: &Plane, row: usize, column: usize) -> f64 {
    plane.as_slice()[row * axes(plane)[1] + column]
}

/// The products of one output, `1·1 + 6·2 + …`.
fn terms(x: &Plane, k: &Plane, row: usize, column: usize) -> String {
    let [height, width] = axes(k);
    let places = (0..height).flat_map(|ky| (0..width).map(move |kx| (ky, kx)));
    let products =
        places.map(|(ky, kx)| format!("{}·{}", at(x, row + ky, column + kx), at(k, ky, kx)));
    products.collect::<Vec<_>>().join(" + ")
}

fn print(title: &str, plane: &Plane) {
    println!("{title}");
    for row in plane.as_slice().chunks(axes(plane)[1]) {
        // Rounded, since the last digits of finite differences mean nothing; −0 + 0 is 0.
        let row: Vec<_> = row.iter().map(|x| (x * 1e6).round() / 1e6 + 0.0).collect();
        println!("  {}", row.iter().map(|x| format!("{x:>5} ")).collect::<String>().trim_end());
    }
    println!();
}
