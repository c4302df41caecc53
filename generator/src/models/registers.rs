//! Work over rows that is compiled for the registers at hand.

use super::attention::Rotary;
use super::maths::{add, geglu, rms_norm, swiglu};

/// Defines work for [`pulp::Arch::dispatch`].
///
/// Each is a type of its own: only what is inlined into the dispatched function is compiled for its registers, and a
/// closure is where the compiler thinks fit, often not.
macro_rules! dispatched {
    ($(#[$about:meta])* $name:ident { $($field:ident: $kind:ty),+ $(,)? } -> $output:ty $body:block) => {
        $(#[$about])*
        pub(crate) struct $name<'a> {
            $(pub(crate) $field: $kind),+
        }

        impl pulp::NullaryFnOnce for $name<'_> {
            type Output = $output;

            #[allow(clippy::inline_always, reason = "only inlined code is compiled for the dispatched registers")]
            #[inline(always)]
            fn call(self) -> $output {
                let Self { $($field),+ } = self;
                $body
            }
        }
    };
}
pub(crate) use dispatched;

dispatched! {
    /// Every row of `rows` scaled to unit root mean square, then by `weight`.
    Norm { rows: &'a [f32], weight: &'a [f32], epsilon: f32, out: &'a mut [f32] } -> () {
        for (row, out) in rows.chunks_exact(weight.len()).zip(out.chunks_exact_mut(weight.len())) {
            rms_norm(row, weight, epsilon, out);
        }
    }
}

dispatched! {
    /// Each row's gate, bent by GELU or SiLU, times what it lets through; a row is `inner` of the one, then of the other.
    Gate { both: &'a [f32], inner: usize, gelu: bool, out: &'a mut [f32] } -> () {
        for (both, out) in both.chunks_exact(2 * inner).zip(out.chunks_exact_mut(inner)) {
            let (gate, up) = both.split_at(inner);
            out.copy_from_slice(gate);
            if gelu {
                geglu(out, up);
            } else {
                swiglu(out, up);
            }
        }
    }
}

dispatched! {
    /// One row added to another.
    Add { to: &'a mut [f32], row: &'a [f32] } -> () { add(to, row) }
}

dispatched! {
    /// The heads of a row, normed where there is a norm, turned to their position.
    Turn { heads: &'a mut [f32], norm: Option<&'a [f32]>, epsilon: f32, rotary: &'a Rotary, position: usize } -> () {
        if let Some(weight) = norm {
            let mut normed = vec![0.0; weight.len()];
            for head in heads.chunks_exact_mut(weight.len()) {
                rms_norm(head, weight, epsilon, &mut normed);
                head.copy_from_slice(&normed);
            }
        }
        rotary.turn(heads, position);
    }
}
