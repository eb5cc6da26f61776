//
// It is a module (`mod network;`) that uses `core` alone, without `unsafe`:
//
//     let (class, outputs) = network::predict(&picture);
//     println!("{:?}", network::CLASSES.get(class));
//
// `rustc -O --test FILE` tests it with the pictures at its end.
//
// The same bits need sums of products that are rounded once, for which `core` has no instruction:
// `multiply_add` makes them of `f64`. By that a picture takes about four times as long on a processor
// of x86-64, and twice with `-C target-cpu=native` if it has wide vectors. The weights are decimal
// numbers, which are read to the same bits; rustc takes about 4 seconds for a million of them.

