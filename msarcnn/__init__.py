"""MSA R-CNN: multi-person 2D pose estimation in one network (Moon, Chang, Lee; CVPRW 2019).

The package imports nothing heavy: `msarcnn.images`, `.coco`, `.skeleton`, `.config` and `.resources`
work without torch, so the window may use them.
"""

import os

from msarcnn.threads import share_cores

# OpenMP reads this when torch is loaded, so it has to stand there before any module of the package imports torch.
share_cores(os.environ)
