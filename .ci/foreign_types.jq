# What rustdoc lists of a library → "file:line item: path" for each type or trait of another crate in it.
# See `public_types` in `run`.

# Meant to be met: the standard library, each other, and traits at which others fit in.
def welcome: [
    "alloc", "core", "std", "lb_core", "lb_health", "lb_vrrp", "tower", "tower_layer", "tower_service",
    "http", "rand_core"
];

# For a reason, "item crate":
def excepted: [
    # A bound that the macro writes, of a type that nobody can name.
    "an implementation pin_project_lite",
    # `Tls::connect`: whoever wants a session beside its checks runs them, and so has tokio.
    "connect tokio"
];

. as $all
| .index[]
| select(.crate_id == 0)
# What others implement for every type, and what the compiler does.
| select((.inner.impl? // {}) | .blanket_impl == null and .is_synthetic != true)
| . as $item
| [.inner | .. | objects | select(has("id") and (has("path") or has("source"))) | .id | tostring]
| unique[]
| $all.paths[.]
| select(. != null)
| . as $used
| ($all.external_crates[$used.crate_id | tostring].name // "") as $crate
| select($crate != "" and (welcome | index($crate) | not))
| "\($item.name // "an implementation") \($crate)" as $exception
| select(excepted | index($exception) | not)
| "\($item.span.filename):\($item.span.begin[0]) \($item.name // "an implementation"): \($used.path | join("::"))"
