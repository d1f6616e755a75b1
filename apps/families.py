"""Which settings of `generate` a prior has no use for, by its model's name."""

UNREAD: dict[str, set[str]] = {
    "PixelSNAIL": {"steps", "order", "remask_steps", "guidance_ramp"},
    "MaskedDiffusion": set(),
}
