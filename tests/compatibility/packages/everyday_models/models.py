from django.db import models
from imagekit.models import ImageSpecField, ProcessedImageField
from imagekit.processors import ResizeToFill
from sorl.thumbnail import ImageField
from tree_queries.models import TreeNode


class Genre(TreeNode):
    name = models.CharField(max_length=50)


class Cover(models.Model):
    image = ProcessedImageField(
        upload_to="covers", processors=[ResizeToFill(40, 40)], format="PNG"
    )
    small = ImageSpecField(
        source="image", processors=[ResizeToFill(10, 10)], format="PNG"
    )
    plain = ImageField(upload_to="plain", blank=True)
