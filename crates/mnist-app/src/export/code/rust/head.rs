//
// It is a module (`mod network;`) that uses `core` alone, without `unsafe`:
//
//     let (class, outputs) = network::predict(&picture);
//     println!("{}", network::CLASSES[class]);
//
// `rustc -O --test FILE` tests it with the pictures at its end.
//
// The same bits need sums of products that are rounded once, for which `core` has no instruction:
// `multiply_add` makes them of `f64`, which takes about 15 times as long. The weights are decimal
// numbers, which are read to the same bits; rustc takes about 4 seconds for a million of them.

