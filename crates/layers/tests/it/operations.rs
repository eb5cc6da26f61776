//! What layers say of themselves to exports.

use layers::{Operation, Parameter};
use tensor::Shape;

use crate::every_layer::examples;

#[test]
fn every_built_in_layer_says_what_it_computes() {
    for (input, layers) in examples() {
        let mut shape = Shape::new(input);
        for spec in layers {
            let layer = spec.build::<f32>(shape).expect("it fits");
            let operation = layer.operation();
            assert!(operation.is_some(), "{}: expected an operation", spec.summary());
            if let Some(Operation::Residual(inside)) = operation {
                // Its arrays are those of the layers inside, in their order.
                let of = |index: usize, arrays: Vec<Parameter>| {
                    let named = move |array: Parameter| format!("{index}.{}", array.name);
                    arrays.into_iter().map(named)
                };
                let each = inside.iter().enumerate();
                let names: Vec<_> = each.flat_map(|(i, layer)| of(i, layer.parameters())).collect();
                let own: Vec<_> = layer.parameters().into_iter().map(|array| array.name).collect();
                assert_eq!(own, names, "{}", spec.summary());
            }
            shape = layer.output_shape();
        }
    }
}
