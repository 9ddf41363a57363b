"""What a recipe may name: the transforms, their arguments and how large these may be.

Left out on purpose: what reads files (TextImage), needs a second image or a mask, gives anything but bytes of
three channels, takes many milliseconds an image, or lets an image grow without an end (RandomScale, Pad).
"""

COMPOSITIONS: dict[str, str] = {
    "Compose": "transforms bbox_params keypoint_params additional_targets is_check_shapes",
    "Sequential": "transforms",
    "OneOf": "transforms",
    "OneOrOther": "transforms",
    "SomeOf": "transforms n replace",
    "RandomOrder": "transforms n replace",
}

_BORDER = "border_mode fill fill_mask"
_SAMPLING = "interpolation mask_interpolation"
_DISTORTION = f"{_SAMPLING} keypoint_remapping_method {_BORDER}"
_CROP = f"height width pad_if_needed pad_position {_BORDER}"

TRANSFORMS: dict[str, str] = {
    "NoOp": "",
    "HorizontalFlip": "",
    "VerticalFlip": "",
    "Transpose": "",
    "D4": "",
    "SquareSymmetry": "",
    "RandomRotate90": "",
    "Rotate": f"limit rotate_method crop_border {_SAMPLING} {_BORDER}",
    "SafeRotate": f"limit rotate_method {_SAMPLING} {_BORDER}",
    "Affine": "scale translate_percent translate_px rotate shear fit_output keep_ratio rotate_method balanced_scale "
    f"{_SAMPLING} {_BORDER}",
    "ShiftScaleRotate": f"shift_limit scale_limit rotate_limit shift_limit_x shift_limit_y rotate_method "
    f"{_SAMPLING} {_BORDER}",
    "Perspective": f"scale keep_size fit_output {_SAMPLING} {_BORDER}",
    "ElasticTransform": f"alpha sigma approximate same_dxdy noise_distribution {_DISTORTION}",
    "GridDistortion": f"num_steps distort_limit normalized {_DISTORTION}",
    "OpticalDistortion": f"distort_limit mode {_DISTORTION}",
    "ThinPlateSpline": f"scale_range num_control_points {_DISTORTION}",
    "RandomGridShuffle": "grid",
    "Resize": f"height width area_for_downscale {_SAMPLING}",
    "LongestMaxSize": f"max_size max_size_hw area_for_downscale {_SAMPLING}",
    "PadIfNeeded": f"min_height min_width pad_height_divisor pad_width_divisor position {_BORDER}",
    "CenterCrop": _CROP,
    "RandomCrop": _CROP,
    "RandomResizedCrop": f"size scale ratio area_for_downscale {_SAMPLING}",
    "RandomSizedCrop": f"min_max_height size w2h_ratio area_for_downscale {_SAMPLING}",
    "RandomCropFromBorders": "crop_left crop_right crop_top crop_bottom",
    "RandomBrightnessContrast": "brightness_limit contrast_limit brightness_by_max ensure_safe_range",
    "ColorJitter": "brightness contrast saturation hue",
    "HueSaturationValue": "hue_shift_limit sat_shift_limit val_shift_limit",
    "RGBShift": "r_shift_limit g_shift_limit b_shift_limit",
    "RandomGamma": "gamma_limit",
    "RandomToneCurve": "scale per_channel",
    "CLAHE": "clip_limit tile_grid_size",
    "Equalize": "mode by_channels mask mask_params",
    "AutoContrast": "cutoff ignore method",
    "FancyPCA": "alpha",
    "PlanckianJitter": "mode temperature_limit sampling_method",
    "Illumination": "mode intensity_range effect_type angle_range center_range sigma_range",
    "PlasmaBrightnessContrast": "brightness_range contrast_range plasma_size roughness",
    "PlasmaShadow": "shadow_intensity_range plasma_size roughness",
    "RandomShadow": "shadow_roi num_shadows_limit shadow_dimension shadow_intensity_range",
    "ToGray": "num_output_channels method",
    "ToSepia": "",
    "ChannelShuffle": "",
    "InvertImg": "",
    "Solarize": "threshold_range",
    "Posterize": "num_bits",
    "ChromaticAberration": "primary_distortion_limit secondary_distortion_limit mode interpolation",
    "Sharpen": "alpha lightness method kernel_size sigma",
    "UnsharpMask": "blur_limit sigma_limit alpha threshold",
    "Emboss": "alpha strength",
    "Blur": "blur_limit",
    "MedianBlur": "blur_limit",
    "GaussianBlur": "blur_limit sigma_limit",
    "MotionBlur": "blur_limit allow_shifted angle_range direction_range",
    "AdvancedBlur": "blur_limit sigma_x_limit sigma_y_limit rotate_limit beta_limit noise_limit",
    "Defocus": "radius alias_blur",
    "RingingOvershoot": "blur_limit cutoff",
    "GaussNoise": "std_range mean_range per_channel noise_scale_factor",
    "ISONoise": "color_shift intensity",
    "MultiplicativeNoise": "multiplier per_channel elementwise",
    "AdditiveNoise": "noise_type spatial_mode noise_params approximation",
    "ShotNoise": "scale_range",
    "SaltAndPepper": "amount salt_vs_pepper",
    "ImageCompression": "compression_type quality_range",
    "Downscale": "scale_range interpolation_pair",
    "PixelDropout": "dropout_prob per_channel drop_value mask_drop_value",
    "CoarseDropout": "num_holes_range hole_height_range hole_width_range fill fill_mask",
    "GridDropout": "ratio random_offset unit_size_range holes_number_xy shift_xy fill fill_mask",
    "ChannelDropout": "channel_drop_range fill",
    "Erasing": "scale ratio fill fill_mask",
    "XYMasking": "num_masks_x num_masks_y mask_x_length mask_y_length fill fill_mask",
}

# Albumentations saves these for their classes' sake, and ignores them when it loads.
IGNORED: dict[str, str] = {
    "SafeRotate": "scale translate_percent translate_px rotate shear fit_output keep_ratio balanced_scale",
    "PadIfNeeded": "padding",
    "RGBShift": "noise_type noise_params approximation spatial_mode",
}

# Largest magnitude of a number: in general, and of arguments of which more is a matter of gigabytes or minutes.
LARGEST_NUMBER = 1024
LARGEST: dict[str, int] = {
    "temperature_limit": 40_000,
    "num_control_points": 16,
    "tile_grid_size": 64,
    "grid": 64,
}

# Arguments that keep their default: they need what an image alone does not have, or lift a bound on its size.
FIXED: dict[str, object] = {
    "bbox_params": None,
    "keypoint_params": None,
    "additional_targets": {},
    "mask": None,
    "mask_params": [],
    "max_size_hw": None,
    "fit_output": False,
    "replace": False,
    "num_output_channels": 3,
}
